package page

import (
	"fmt"
	"math"
	"strconv"

	"penstock/storm"
)

// short writes a number for an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return group(int64(v))
}

func end(points []storm.Point) float64 {
	if len(points) == 0 {
		return 0
	}
	return points[len(points)-1].At
}

func stockChart(rep *storm.Report) chart {
	bands := []series{{name: "sold", colour: "sold"}, {name: "held", colour: "held"}, {name: "free", colour: "free"}}
	var times []float64
	var high int64
	for i := range rep.Points {
		l := rep.Points[i].Stock
		if l == nil {
			continue
		}
		times = append(times, rep.Points[i].At)
		for j, v := range []int64{l.Sold, l.Held, l.Available} {
			bands[j].values = append(bands[j].values, float64(v))
		}
		high = max(high, l.Sold+l.Held+l.Available)
	}
	p := newPlot("stock over time", end(rep.Points), float64(high))
	p.axes(short)
	p.stack(times, bands)
	if len(times) == 0 {
		p.empty("the admin API did not answer")
	}
	return chart{title: "Stock over time", hint: "Units of the sale by state, asked of the admin API while the buyers came.", svg: p.done(), legend: bands}
}

func answersChart(rep *storm.Report) chart {
	colours := [...]string{"won", "lost", "refused", "shed", "unknown"}
	bands := make([]series, len(colours))
	for k := range bands {
		bands[k] = series{name: storm.Kind(k).String(), colour: colours[k]}
	}
	var times []float64
	var high float64
	for i := range rep.Points {
		pt := &rep.Points[i]
		if pt.Span <= 0 {
			continue
		}
		times = append(times, pt.At)
		for k, n := range pt.Answers {
			bands[k].values = append(bands[k].values, float64(n)/pt.Span)
		}
		high = max(high, float64(pt.Answers.Total())/pt.Span)
	}
	p := newPlot("answers per second", end(rep.Points), high)
	p.axes(short)
	p.stack(times, bands)
	return chart{title: "Answers per second", hint: "Answers to attempts by kind, stacked. Refused is a no that is not final.", svg: p.done(), legend: bands}
}

// decades returns powers of ten around values in milliseconds.
func decades(low, high float64) (float64, float64) {
	if high <= 0 {
		return 0.1, 100
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	return low, max(high, low*10)
}

func tick(ms float64) string {
	if ms >= 1000 {
		return strconv.FormatFloat(ms/1000, 'g', -1, 64) + " s"
	}
	return strconv.FormatFloat(ms, 'g', 3, 64) + " ms"
}

func latencyChart(rep *storm.Report) chart {
	lines := []series{{name: "p50", colour: "p50"}, {name: "p99", colour: "p99"}}
	var times []float64
	low, high := math.Inf(1), 0.0
	for i := range rep.Points {
		l := rep.Points[i].Latency
		times = append(times, rep.Points[i].At)
		lines[0].values = append(lines[0].values, l.P50)
		lines[1].values = append(lines[1].values, l.P99)
		if l.P50 > 0 {
			low, high = min(low, l.P50), max(high, l.P99)
		}
	}
	p := newPlot("latency over time", end(rep.Points), 1)
	p.log = true
	p.low, p.high = decades(low, high)
	p.axes(tick)
	for _, s := range lines {
		p.line(times, s)
	}
	return chart{title: "Latency over time", hint: "Percentiles of each quarter second, logarithmic.", svg: p.done(), legend: lines}
}

// spreadChart shows the percentiles of the whole run as bars: all answers, wins, noes.
func spreadChart(rep *storm.Report) chart {
	rows := []struct {
		name, colour string
		l            storm.Latency
	}{{"all", "lost", rep.Latency}, {"wins", "won", rep.LatencyWon}, {"refusals", "refused", rep.LatencyRefused}}
	p := newPlot("latency percentiles", 1, 1)
	low, high := math.Inf(1), 0.0
	for _, r := range rows {
		if r.l.P50 > 0 {
			low, high = min(low, r.l.P50), max(high, r.l.Max)
		}
	}
	p.log = true
	p.low, p.high = decades(low/2, high*1.5)
	for _, v := range p.ticks() {
		y := at(p.y(v))
		fmt.Fprintf(&p.b, "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%s\" y2=\"%s\"/><text x=\"%g\" y=\"%s\" text-anchor=\"end\" dy=\"4\">%s</text>\n", left, width-right, y, y, left-6, y, tick(v))
	}
	var legend []series
	names := [...]string{"p50", "p99", "p99.9", "max"}
	slot := (width - left - right) / float64(len(names))
	for i, name := range names {
		for j, r := range rows {
			v := [...]float64{r.l.P50, r.l.P99, r.l.P999, r.l.Max}[i]
			if v <= 0 {
				continue
			}
			x, y := left+slot*float64(i)+14+float64(j)*34, p.y(v)
			fmt.Fprintf(&p.b, "<rect x=\"%s\" y=\"%s\" width=\"28\" height=\"%s\" rx=\"3\" style=\"fill:var(--%s)\"><title>%s %s: %s</title></rect>\n",
				at(x), at(y), at(max(height-bottom-y, 1)), r.colour, r.name, name, millis(v))
		}
		fmt.Fprintf(&p.b, "<text x=\"%s\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", at(left+slot*float64(i)+slot/2), height-8, name)
	}
	for _, r := range rows {
		legend = append(legend, series{name: r.name, colour: r.colour})
	}
	return chart{title: "Latency percentiles", hint: "Of the whole run, from due time to answer, logarithmic.", svg: p.done(), legend: legend}
}
