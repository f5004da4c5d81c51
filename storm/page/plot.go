package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The drawing area, in the SVG's own units.
const (
	width, height            = 560.0, 250.0
	left, right, top, bottom = 52.0, 12.0, 10.0, 26.0
)

// series is one row of values over time.
type series struct {
	name, colour string
	values       []float64
}

// chart is a card with a drawing and its legend.
type chart struct {
	title, hint string
	svg         string
	legend      []series
}

func (c chart) write(b *strings.Builder) {
	fmt.Fprintf(b, "<section class=\"card\"><h2>%s</h2><p class=\"hint\">%s</p>\n%s", esc(c.title), esc(c.hint), c.svg)
	if len(c.legend) > 0 {
		b.WriteString("<div class=\"legend\">")
		for _, s := range c.legend {
			fmt.Fprintf(b, "<span><i style=\"background:var(--%s)\"></i>%s</span>", s.colour, esc(s.name))
		}
		b.WriteString("</div>")
	}
	b.WriteString("</section>\n")
}

// plot maps values to places in the drawing.
type plot struct {
	b          strings.Builder
	last, high float64 // of the axes; both begin at 0 (low for a logarithmic one)
	low        float64
	log        bool
}

func newPlot(label string, last, high float64) *plot {
	p := &plot{last: max(last, 0.1), high: max(high, 1)}
	fmt.Fprintf(&p.b, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", width, height, esc(label))
	return p
}

func (p *plot) x(t float64) float64 { return left + max(t, 0)/p.last*(width-left-right) }

func (p *plot) y(v float64) float64 {
	share := v / p.high
	if p.log {
		share = (math.Log10(max(v, p.low)) - math.Log10(p.low)) / (math.Log10(p.high) - math.Log10(p.low))
	}
	return height - bottom - share*(height-top-bottom)
}

func at(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// axes draws the grid with its labels.
func (p *plot) axes(show func(float64) string) {
	for _, v := range p.ticks() {
		y := at(p.y(v))
		fmt.Fprintf(&p.b, "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%s\" y2=\"%s\"/><text x=\"%g\" y=\"%s\" text-anchor=\"end\" dy=\"4\">%s</text>\n",
			left, width-right, y, y, left-6, y, esc(show(v)))
	}
	step := nice(p.last / 6)
	for t := 0.0; t <= p.last*1.0001; t += step {
		fmt.Fprintf(&p.b, "<text x=\"%s\" y=\"%g\" text-anchor=\"middle\">%s s</text>\n", at(p.x(t)), height-8, at(t))
	}
}

func (p *plot) ticks() (all []float64) {
	if p.log {
		for v := p.low; v <= p.high*1.0001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	step := nice(p.high / 4)
	for v := 0.0; v <= p.high*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// nice rounds up to 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if v <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

// stack fills the bands between running sums of the series.
func (p *plot) stack(times []float64, all []series) {
	if len(times) == 0 {
		return
	}
	base := make([]float64, len(times))
	for _, s := range all {
		var points []string
		for i, t := range times {
			points = append(points, at(p.x(t))+","+at(p.y(base[i]+s.values[i])))
		}
		for i := len(times) - 1; i >= 0; i-- {
			points = append(points, at(p.x(times[i]))+","+at(p.y(base[i])))
			base[i] += s.values[i]
		}
		fmt.Fprintf(&p.b, "<polygon points=\"%s\" style=\"fill:var(--%s)\"><title>%s</title></polygon>\n", strings.Join(points, " "), s.colour, esc(s.name))
	}
}

// line draws a series; a value of 0 is a gap.
func (p *plot) line(times []float64, s series) {
	var path []string
	move := "M"
	for i, t := range times {
		if s.values[i] <= 0 {
			move = "M"
			continue
		}
		path = append(path, move+at(p.x(t))+" "+at(p.y(s.values[i])))
		move = "L"
	}
	fmt.Fprintf(&p.b, "<path d=\"%s\" style=\"fill:none;stroke:var(--%s);stroke-width:2;stroke-linejoin:round;stroke-linecap:round\"><title>%s</title></path>\n",
		strings.Join(path, ""), s.colour, esc(s.name))
}

// empty says that there is nothing to draw.
func (p *plot) empty(why string) {
	fmt.Fprintf(&p.b, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", width/2, height/2, esc(why))
}

func (p *plot) done() string { return p.b.String() + "</svg>\n" }
