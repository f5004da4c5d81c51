package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The drawing area, in the SVG's own units.
const (
	width, height            = 560.0, 230.0
	left, right, top, bottom = 52.0, 12.0, 10.0, 26.0
)

type band struct {
	name, colour string
	of           func(*Moment) int64
}

func at(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// frame begins a drawing with a time axis and returns how to place values.
func frame(b *strings.Builder, label string, r *Report, high int64) (x func(*Moment) float64, y func(int64) float64) {
	fmt.Fprintf(b, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", width, height, esc(label))
	first, last := r.Timeline[0].At, r.Timeline[len(r.Timeline)-1].At
	long := max(last.Sub(first).Seconds(), 1)
	x = func(m *Moment) float64 { return left + m.At.Sub(first).Seconds()/long*(width-left-right) }
	y = func(v int64) float64 { return height - bottom - float64(v)/float64(max(high, 1))*(height-top-bottom) }
	for i := range int64(3) {
		v := max(high, 1) * i / 2
		fmt.Fprintf(b, "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%s\" y2=\"%s\"/><text x=\"%g\" y=\"%s\" text-anchor=\"end\" dy=\"4\">%s</text>\n", left, width-right, at(y(v)), at(y(v)), left-6, at(y(v)), group(v))
	}
	layout := "15:04:05"
	if long > 2*24*3600 {
		layout = "2 Jan 15:04"
	}
	fmt.Fprintf(b, "<text x=\"%g\" y=\"%g\">%s</text><text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n", left, height-8, first.Format(layout), width-right, height-8, last.Format(layout))
	return x, y
}

func legend(b *strings.Builder, bands []band) {
	b.WriteString("</svg><div class=\"legend\">")
	for _, s := range bands {
		fmt.Fprintf(b, "<span><i class=\"%s\"></i>%s</span>", s.colour, s.name)
	}
	b.WriteString("</div>")
}

const nothing = "<p class=\"none\">Nothing has happened.</p>"

// stockChart stacks sold, held and free units as steps.
func stockChart(r *Report) string {
	if len(r.Timeline) == 0 {
		return nothing
	}
	moments := lasting(r.Timeline)
	bands := []band{{"sold", "sold", func(m *Moment) int64 { return m.InSold }}, {"held", "held", func(m *Moment) int64 { return m.InHold }}, {"free", "free", func(m *Moment) int64 { return m.Free }}}
	var high int64
	for i := range moments {
		m := &moments[i]
		high = max(high, m.InSold+m.InHold+m.Free)
	}
	var b strings.Builder
	x, y := frame(&b, "stock over time", r, high)
	base := make([]int64, len(moments))
	for _, s := range bands {
		var up, down []string
		for i := range moments {
			m := &moments[i]
			if i > 0 { // what stood before stood until now
				before := base[i-1] // of the band's top, which was raised below
				up = append(up, at(x(m))+","+at(y(before)))
				down = append(down, at(x(m))+","+at(y(before-s.of(&moments[i-1]))))
			}
			down = append(down, at(x(m))+","+at(y(base[i])))
			base[i] += s.of(m)
			up = append(up, at(x(m))+","+at(y(base[i])))
		}
		for i := len(down) - 1; i >= 0; i-- {
			up = append(up, down[i])
		}
		fmt.Fprintf(&b, "<polygon points=\"%s\" class=\"%s\"><title>%s</title></polygon>\n", strings.Join(up, " "), s.colour, s.name)
	}
	legend(&b, bands)
	return b.String()
}

// lasting is a timeline in which the last moment has a length, so that what a single event left shows as a surface and not as a
// line of no width.
func lasting(t []Moment) []Moment {
	if len(t) != 1 {
		return t
	}
	end := t[0]
	end.At = end.At.Add(time.Second)
	return []Moment{t[0], end}
}

// flowChart draws a bar for each step and kind.
func flowChart(r *Report) string {
	if len(r.Timeline) == 0 {
		return nothing
	}
	bands := []band{{"held", "held", func(m *Moment) int64 { return m.Held }}, {"sold", "sold", func(m *Moment) int64 { return m.Sold }}, {"released", "bad", func(m *Moment) int64 { return m.Released }}}
	var high int64
	for i := range r.Timeline {
		for _, s := range bands {
			high = max(high, s.of(&r.Timeline[i]))
		}
	}
	var b strings.Builder
	x, y := frame(&b, "units held, sold and released", r, high)
	slot := max((width-left-right)/float64(len(r.Timeline))/3, 1.5)
	slot = min(slot, 14)
	squeeze := 1 - 3*slot/(width-left-right) // so that the last bars have their place too
	for i := range r.Timeline {
		m := &r.Timeline[i]
		for j, s := range bands {
			if v := s.of(m); v > 0 {
				fmt.Fprintf(&b, "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" class=\"%s\"><title>%s %s at %s</title></rect>\n",
					at(left+(x(m)-left)*squeeze+float64(j)*slot), at(y(v)), at(slot), at(height-bottom-y(v)), s.colour, group(v), s.name, m.At.Format("15:04:05"))
			}
		}
	}
	legend(&b, bands)
	return b.String()
}

func funnelChart(r *Report) string {
	f := r.Funnel
	return bars(f.Won, f.Won, []Count{{"won", f.Won}, {"paid", f.Paid + f.Refunded}, {"refunded", f.Refunded}, {"still open", f.Open}, {"expired", f.Expired}, {"cancelled", f.Cancelled}})
}

func refusedChart(r *Report) string {
	if r.Refused == nil {
		return "<p class=\"none\">Not recorded.</p>"
	}
	if len(r.Refused) == 0 {
		return "<p class=\"none\">This process has refused nothing.</p>"
	}
	var all int64
	for _, c := range r.Refused {
		all += c.N
	}
	return bars(r.Refused[0].N, all, r.Refused[:min(len(r.Refused), 8)])
}

// bars draws lying bars, the longest of which is high, with their names, figures and shares of all, as text that wraps with the page.
func bars(high, all int64, rows []Count) string {
	var b strings.Builder
	b.WriteString("<div class=\"bars\">")
	for _, c := range rows {
		fmt.Fprintf(&b, "<span>%s</span><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s %d\"><rect class=\"rail\" width=\"100\" height=\"10\"/><rect width=\"%s\" height=\"10\" class=\"sold\"/></svg><b>%s <small>%s</small></b>\n",
			esc(c.Name), esc(c.Name), c.N, at(float64(c.N)/float64(max(high, 1))*100), group(c.N), share(c.N, all))
	}
	b.WriteString("</div>")
	return b.String()
}

const style = `
:root{--bg:#f6f7f9;--card:#fff;--ink:#16202c;--dim:#5c6875;--line:#e3e7ec;--sold:#0f766e;--held:#f59e0b;--free:#cbd5e1;--good:#0f766e;--goodbg:#d9f3ee;--bad:#b42318;--badbg:#fde7e4;--nonebg:#eceff3}
@media (prefers-color-scheme:dark){:root{--bg:#0d1218;--card:#151c25;--ink:#e6ebf1;--dim:#93a0ae;--line:#263140;--sold:#2dd4bf;--held:#fbbf24;--free:#334155;--good:#5eead4;--goodbg:#123b37;--bad:#fda4af;--badbg:#4a1620;--nonebg:#222c38}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
header{display:flex;gap:20px;justify-content:space-between;align-items:flex-end;flex-wrap:wrap;margin-bottom:20px}.kicker{margin:0;color:var(--dim);font-size:13px;letter-spacing:.06em;text-transform:uppercase}
h1{margin:2px 0 4px;font-size:30px;line-height:1.15;overflow-wrap:anywhere}h2{font-size:17px;margin:0}.sub,.hint,.none{color:var(--dim);margin:0}.hint{font-size:13px;margin:2px 0 10px}
.verdict{display:flex;align-items:center;gap:14px;padding:12px 20px;border-radius:14px;background:var(--nonebg)}.verdict strong{font-size:24px}.verdict.pass{background:var(--goodbg);color:var(--good)}.verdict.fail{background:var(--badbg);color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:16px}.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:14px}.tile{padding:14px 16px}
.tile span,.tile em{display:block;color:var(--dim);font-size:13px;font-style:normal}.tile strong{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;margin-bottom:16px}.card{padding:18px 20px;margin:0 0 16px;min-width:0}.grid .card{margin:0}
svg{display:block;width:100%;height:auto}svg text{fill:var(--dim);font:11px system-ui,sans-serif}svg .axis{stroke:var(--line)}.rail{fill:var(--nonebg)}svg .sold{fill:var(--sold)}svg .held{fill:var(--held)}svg .free{fill:var(--free)}svg .bad{fill:var(--bad)}
.legend .sold{background:var(--sold)}.legend .held{background:var(--held)}.legend .free{background:var(--free)}.legend .bad{background:var(--bad)}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin-top:8px;font-size:13px;color:var(--dim)}.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.bars{display:grid;grid-template-columns:minmax(80px,auto) 1fr auto;gap:10px 12px;align-items:center;font-size:14px}.bars svg{height:18px;border-radius:6px}.bars b{text-align:right;font-variant-numeric:tabular-nums}.bars small{color:var(--dim);font-weight:400}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500;color:var(--dim);font-size:13px}th,td{padding:8px 10px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td small{display:block;color:var(--dim);overflow-wrap:anywhere}td small.bad{color:var(--bad)}
.pill{padding:1px 10px;border-radius:99px;background:var(--nonebg);color:var(--dim);font-size:13px;white-space:nowrap}.pill.pass{background:var(--goodbg);color:var(--good)}.pill.fail{background:var(--badbg);color:var(--bad)}
footer{color:var(--dim);font-size:13px}@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
`
