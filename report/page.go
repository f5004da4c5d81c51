package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"penstock/check"
	"penstock/internal/page"
)

// HTML writes the whole page. It needs no script, no font and no network; whatever comes from outside is escaped. nonce is that of
// the answer which carries the page (see package page), or "" for a file: all of its style is in one element.
func HTML(w io.Writer, r *Report, nonce string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"+
		"<meta name=\"color-scheme\" content=\"light dark\">\n<title>Sale report · %s</title>\n<style nonce=\"%s\">%s</style></head>\n<body><main>\n", esc(r.Sale), page.Escape(nonce), style)
	word := map[string]string{check.Pass: "Pass", check.Fail: "Fail"}[r.Proof.Verdict]
	fmt.Fprintf(&b, "<header><div><p class=\"kicker\">Sale report</p><h1>%s</h1><p class=\"sub\">%s to %s · %s · as of %s</p></div><div class=\"verdict %s\"><strong>%s</strong><span>%s</span></div></header>\n",
		esc(r.Sale), when(r.StartsAt), when(r.EndsAt), esc(r.State), when(r.At), esc(r.Proof.Verdict), word, verdictLine(r))
	tiles(&b, r)
	b.WriteString("<div class=\"grid\">\n")
	card(&b, "Stock over time", fmt.Sprintf("Units by state, from the ledger, in steps of %d s.", r.StepSeconds), stockChart(r))
	card(&b, "What happened when", "Units held, sold and released in each step.", flowChart(r))
	card(&b, "What became of the winners", "Orders, from the hold to the end.", funnelChart(r))
	card(&b, "Refused attempts by reason", "Answers of the process that wrote this page, since its start and over all sales.", refusedChart(r))
	b.WriteString("</div>\n")
	stockTable(&b, r)
	moneyTable(&b, r)
	proof(&b, r)
	fmt.Fprintf(&b, "<footer>Not recorded: %s. Amounts are minor units of their currency.</footer>\n</main></body></html>\n", esc(strings.Join(r.NotRecorded, "; ")))
	_, err := io.WriteString(w, b.String())
	return err
}

func esc(s string) string { return page.Escape(s) }

func when(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

func verdictLine(r *Report) string {
	held, failed := 0, 0
	for i := range r.Proof.Invariants {
		switch r.Proof.Invariants[i].Verdict {
		case check.Pass:
			held++
		case check.Fail:
			failed++
		}
	}
	if failed > 0 {
		return fmt.Sprintf("%d of %d invariants are broken", failed, len(r.Proof.Invariants))
	}
	return fmt.Sprintf("%d invariants hold, %d not run", held, len(r.Proof.Invariants)-held)
}

func share(n, of int64) string {
	if of == 0 {
		return "–"
	}
	return strconv.FormatFloat(float64(n)/float64(of)*100, 'f', 1, 64) + " %"
}

func tiles(b *strings.Builder, r *Report) {
	var offered, sold int64
	for _, s := range r.SKUs {
		offered, sold = offered+s.Offered-s.Withdrawn, sold+s.Sold
	}
	f := r.Funnel
	b.WriteString("<section class=\"tiles\">\n")
	for _, t := range [][3]string{
		{"Units sold", group(sold), "of " + group(offered) + " on offer (" + share(sold, offered) + ")"},
		{"Orders won", group(f.Won), "by " + group(f.Buyers) + " buyers"},
		{"Paid", share(f.Paid+f.Refunded, f.Won), group(f.Paid+f.Refunded) + " orders, later refunded ones too"},
		{"Expired holds", group(f.Expired), group(f.ExpiredUnits) + " units came back"},
		{"Refunded", group(f.Refunded), group(f.PartlyRefunded) + " more in part"},
		{"Late money", group(r.LateMoney.Payments), group(r.LateMoney.Returned) + " given back"},
	} {
		fmt.Fprintf(b, "<div class=\"tile\"><span>%s</span><strong>%s</strong><em>%s</em></div>\n", esc(t[0]), esc(t[1]), esc(t[2]))
	}
	b.WriteString("</section>\n")
}

func card(b *strings.Builder, title, hint, body string) {
	fmt.Fprintf(b, "<section class=\"card\"><h2>%s</h2><p class=\"hint\">%s</p>\n%s</section>\n", esc(title), esc(hint), body)
}

// table writes rows; columns but the first are numbers.
func table(b *strings.Builder, title, hint string, heads []string, rows [][]string) {
	var t strings.Builder
	t.WriteString("<div class=\"scroll\"><table><thead><tr>")
	for i, h := range heads {
		t.WriteString(cell("th", i, h))
	}
	t.WriteString("</tr></thead><tbody>\n")
	for _, row := range rows {
		t.WriteString("<tr>")
		for i, v := range row {
			t.WriteString(cell("td", i, v))
		}
		t.WriteString("</tr>\n")
	}
	t.WriteString("</tbody></table></div>")
	card(b, title, hint, t.String())
}

func cell(tag string, i int, text string) string {
	class := ""
	if i > 0 {
		class = " class=\"n\""
	}
	return "<" + tag + class + ">" + esc(text) + "</" + tag + ">"
}

func stockTable(b *strings.Builder, r *Report) {
	var rows [][]string
	for _, s := range r.SKUs {
		rows = append(rows, []string{s.SKU, group(s.Price) + " " + s.Currency, group(s.Offered), group(s.Withdrawn), group(s.Sold), group(s.Held), group(s.Available)})
	}
	table(b, "What was sold", "offered − withdrawn = sold + held + free", []string{"SKU", "Price", "Offered", "Withdrawn", "Sold", "Held", "Free"}, rows)
}

func moneyTable(b *strings.Builder, r *Report) {
	var rows [][]string
	for _, m := range r.Money {
		rows = append(rows, []string{m.Currency, group(m.Won), group(m.Captured), group(m.Refunded), group(m.Captured - m.Refunded)})
	}
	table(b, "Money", "As payments tell it; late money is in it.", []string{"Currency", "Won", "Captured", "Given back", "Kept"}, rows)
}

func proof(b *strings.Builder, r *Report) {
	var t strings.Builder
	t.WriteString("<div class=\"scroll\"><table><thead><tr><th>Id</th><th>Verdict</th><th>Invariant</th><th class=\"n\">Violations</th><th class=\"n\">Checked</th></tr></thead><tbody>\n")
	for i := range r.Proof.Invariants {
		v := &r.Proof.Invariants[i]
		checked, violations := group(v.Checked)+" "+v.Unit, group(v.Violations)
		if v.Verdict == check.NotRun {
			checked, violations = "–", "–"
		}
		fmt.Fprintf(&t, "<tr><td>%s</td><td><span class=\"pill %s\">%s</span></td><td>%s", esc(v.ID), esc(v.Verdict), esc(v.Verdict), esc(v.Name))
		if v.Note != "" {
			fmt.Fprintf(&t, "<small>%s</small>", esc(v.Note))
		}
		for _, e := range v.Examples {
			fmt.Fprintf(&t, "<small class=\"bad\">%s</small>", esc(e))
		}
		fmt.Fprintf(&t, "</td><td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", violations, esc(checked))
	}
	t.WriteString("</tbody></table></div>")
	for _, n := range r.Proof.Notes {
		fmt.Fprintf(&t, "<p class=\"hint\">%s</p>", esc(n))
	}
	card(b, "Proof", "Invariants over all sales of this shop, computed from the exports. Not run is never shown as passed.", t.String())
}
