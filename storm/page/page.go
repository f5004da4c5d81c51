// Package page writes the report of a stampede as one HTML file that needs nothing else: no script, no font, no network. Charts are
// SVG drawn here; colours follow the reader's light or dark setting.
//
// Everything that comes from outside (names, notes, examples) is escaped. The same report gives the same bytes. Safe for
// concurrent use.
package page

import (
	"fmt"
	"html"
	"strings"
	"time"

	"penstock/check"
	"penstock/storm"
)

// HTML returns the whole page.
func HTML(rep *storm.Report) string {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n")
	b.WriteString("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n")
	b.WriteString("<meta name=\"color-scheme\" content=\"light dark\">\n")
	fmt.Fprintf(&b, "<title>Penstock storm · %s · %s</title>\n<style>%s</style></head>\n<body><main>\n", esc(rep.Sale), esc(rep.Verdict), style)
	head(&b, rep)
	tiles(&b, rep)
	notes(&b, rep)
	b.WriteString("<div class=\"grid\">\n")
	for _, c := range []chart{stockChart(rep), answersChart(rep), latencyChart(rep), spreadChart(rep)} {
		c.write(&b)
	}
	b.WriteString("</div>\n")
	verdicts(&b, rep)
	details(&b, rep)
	b.WriteString("</main></body></html>\n")
	return b.String()
}

func esc(s string) string { return html.EscapeString(s) }

func head(b *strings.Builder, rep *storm.Report) {
	held, failed := 0, 0
	for i := range rep.Invariants {
		switch rep.Invariants[i].Verdict {
		case check.Pass:
			held++
		case check.Fail:
			failed++
		}
	}
	line := fmt.Sprintf("%d invariants hold, %d not run", held, len(rep.Invariants)-held-failed)
	if failed > 0 {
		line = fmt.Sprintf("%d of %d invariants are broken", failed, len(rep.Invariants))
	} else if rep.Verdict == check.Fail {
		line = "no invariant is broken, but not everything could be settled"
	}
	word := map[string]string{check.Pass: "Pass", check.Fail: "Fail"}[rep.Verdict]
	if word == "" {
		word = "Not run"
	}
	fmt.Fprintf(b, "<header><div><p class=\"kicker\">Penstock storm report</p><h1>%s</h1><p class=\"sub\">%s · %s · seed %d</p></div>",
		esc(rep.Sale), esc(rep.URL), rep.Started.UTC().Format(time.RFC1123), rep.Seed)
	fmt.Fprintf(b, "<div class=\"verdict %s\"><strong>%s</strong><span>%s</span></div></header>\n", esc(rep.Verdict), word, line)
}

func tiles(b *strings.Builder, rep *storm.Report) {
	b.WriteString("<section class=\"tiles\">\n")
	tile := func(name, figure, below string) {
		fmt.Fprintf(b, "<div class=\"tile\"><span>%s</span><strong>%s</strong><em>%s</em></div>\n", esc(name), esc(figure), esc(below))
	}
	tile("Units sold or held", group(rep.Stock.Sold+rep.Stock.Held), fmt.Sprintf("%s sold, %s held, %s free of %s", group(rep.Stock.Sold), group(rep.Stock.Held), group(rep.Stock.Available), group(rep.Stock.Offered)))
	tile("Buyers", group(rep.Buyers.Arrived), fmt.Sprintf("%s won, %s finally lost", group(rep.Won), group(rep.Lost)))
	tile("Attempts", group(rep.Attempts), fmt.Sprintf("%s unknown, %s unresolved", group(rep.Unknown), group(rep.Unresolved)))
	tile("Arrivals per second", group(int64(rep.AchievedRate)), fmt.Sprintf("%s offered", group(int64(rep.OfferedRate))))
	tile("Median answer", millis(rep.Latency.P50), "from the moment it was due")
	tile("99th percentile", millis(rep.Latency.P99), fmt.Sprintf("99.9th %s, max %s", millis(rep.Latency.P999), millis(rep.Latency.Max)))
	b.WriteString("</section>\n")
}

func notes(b *strings.Builder, rep *storm.Report) {
	if len(rep.Notes) == 0 {
		return
	}
	b.WriteString("<section class=\"notes\"><ul>")
	for _, n := range rep.Notes {
		fmt.Fprintf(b, "<li>%s</li>", esc(n))
	}
	b.WriteString("</ul></section>\n")
}

func verdicts(b *strings.Builder, rep *storm.Report) {
	b.WriteString("<section class=\"card\"><h2>Invariants</h2><p class=\"hint\">Judged from what buyers were told and what the server lets anyone see.</p>\n")
	b.WriteString("<div class=\"scroll\"><table><thead><tr><th>Id</th><th>Invariant</th><th class=\"n\">Checked</th><th class=\"n\">Violations</th><th>Verdict</th></tr></thead><tbody>\n")
	for i := range rep.Invariants {
		v := &rep.Invariants[i]
		checked, violations := group(v.Checked)+" "+v.Unit, group(v.Violations)
		if v.Verdict == check.NotRun {
			checked, violations = "–", "–"
		}
		fmt.Fprintf(b, "<tr><td class=\"id\">%s</td><td>%s", esc(v.ID), esc(v.Name))
		if v.Note != "" {
			fmt.Fprintf(b, "<small>%s</small>", esc(v.Note))
		}
		for _, e := range v.Examples {
			fmt.Fprintf(b, "<small class=\"bad\">%s</small>", esc(e))
		}
		fmt.Fprintf(b, "</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td><span class=\"pill %s\">%s</span></td></tr>\n",
			esc(checked), violations, esc(v.Verdict), esc(v.Verdict))
	}
	b.WriteString("</tbody></table></div></section>\n")
}

func details(b *strings.Builder, rep *storm.Report) {
	b.WriteString("<section class=\"card\"><h2>What the buyers did</h2><dl>\n")
	item := func(name, value string) { fmt.Fprintf(b, "<div><dt>%s</dt><dd>%s</dd></div>\n", esc(name), esc(value)) }
	item("Paid", group(rep.Buyers.Paid))
	item("Cancelled", group(rep.Buyers.Cancelled))
	item("Walked away", group(rep.Buyers.WalkedAway))
	item("Refused, not final", group(rep.Refused))
	item("Shed", group(rep.Shed))
	item("Replayed answers", group(rep.Replayed))
	item("Identities", group(int64(rep.Users)))
	item("Passes exchanged", group(rep.Passes))
	item("Connections", group(rep.Conns))
	item("p99 of wins", millis(rep.LatencyWon.P99))
	item("p99 of refusals", millis(rep.LatencyRefused.P99))
	item("Took", fmt.Sprintf("%.1f s", rep.Seconds))
	b.WriteString("</dl></section>\n<footer>Latency counts from the moment each attempt was due, so a stalled server is not flattered. Not run is never shown as passed.</footer>\n")
}

func millis(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
