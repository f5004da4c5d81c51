// Package screen draws a stampede for a terminal: a pure function from what is known to text.
//
// It promises that no line is wider than asked for and that the picture has the same number of lines from frame to frame, so that
// it can be drawn over itself. It writes to nobody. Safe for concurrent use.
package screen

import (
	"fmt"
	"strings"
	"time"

	"penstock/storm"
)

// Style says what the terminal can do.
type Style struct {
	// Width is columns; less than 80 is treated as 80, more than 110 as 110.
	Width int
	// Color switches colours on.
	Color bool
}

// Narrowest is the fewest columns that a picture fits into.
const Narrowest = 80

const (
	widest = 110
	label  = 11 // columns before the bars
)

// colours by name, as ANSI sequences.
var colours = map[string]string{
	"sold": "\x1b[38;5;36m", "held": "\x1b[38;5;214m", "free": "\x1b[38;5;240m", "won": "\x1b[38;5;36m", "refused": "\x1b[38;5;68m",
	"bad": "\x1b[38;5;160m", "dim": "\x1b[2m", "bold": "\x1b[1m",
}

const plain = "\x1b[0m"

// Lines is how many lines a picture has.
const Lines = 14

type canvas struct {
	Style
	b strings.Builder
}

// paint returns text in a colour. It does not count towards the width.
func (c *canvas) paint(colour, text string) string {
	if !c.Color || text == "" {
		return text
	}
	return colours[colour] + text + plain
}

func (c *canvas) line(name, text string) {
	c.b.WriteString(strings.TrimRight(" "+c.paint("dim", pad(name, label-1))+text, " "))
	c.b.WriteByte('\n')
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len([]rune(s)))) }

// Render draws one frame.
func Render(p storm.Progress, s Style) string {
	c := &canvas{Style: s}
	c.Width = min(max(s.Width, Narrowest), widest)
	c.title(&p)
	c.b.WriteByte('\n')
	c.stock(&p)
	c.b.WriteByte('\n')
	c.arrivals(&p)
	c.answers(&p)
	c.latency(&p)
	c.b.WriteByte('\n')
	c.buyers(&p)
	return c.b.String()
}

func (c *canvas) title(p *storm.Progress) {
	left := "penstock"
	right := fmt.Sprintf("%s  %5.1f s", p.Phase, max(p.Elapsed, 0).Truncate(100*time.Millisecond).Seconds())
	gap := max(1, c.Width-1-len(left)-len(right))
	c.b.WriteString(" " + c.paint("bold", left) + strings.Repeat(" ", gap) + c.paint("dim", right) + "\n")
}

// bar fills width columns with parts, each at least one column when it is not empty, rounded so that they add up.
func (c *canvas) bar(width int, total int64, parts []part) string {
	var b strings.Builder
	used := 0
	var seen int64
	for i, p := range parts {
		seen += p.n
		end := 0
		if total > 0 {
			end = int(seen * int64(width) / total)
		}
		if p.n > 0 && end <= used && used < width {
			end = used + 1
		}
		if i == len(parts)-1 && seen == total {
			end = width
		}
		b.WriteString(c.paint(p.colour, strings.Repeat(p.glyph, max(0, min(end, width)-used))))
		used = max(used, min(end, width))
	}
	return b.String() + strings.Repeat(" ", width-used)
}

type part struct {
	n             int64
	glyph, colour string
}

func (c *canvas) stock(p *storm.Progress) {
	var now storm.Levels
	for i := len(p.Points) - 1; i >= 0; i-- {
		if p.Points[i].Stock != nil {
			now = *p.Points[i].Stock
			break
		}
	}
	parts := []part{{now.Sold, "█", "sold"}, {now.Held, "▓", "held"}, {now.Available, "░", "free"}}
	c.line("stock", c.bar(c.Width-label, now.Offered, parts))
	c.line("", fmt.Sprintf("%s %s   %s %s   %s %s   of %s", c.paint("sold", "█ sold"), group(now.Sold), c.paint("held", "▓ held"), group(now.Held),
		c.paint("free", "░ free"), group(now.Available), group(now.Offered)))
}

func (c *canvas) arrivals(p *storm.Progress) {
	figures := fmt.Sprintf("  %s of %s at %s/s", group(p.Buyers.Arrived), group(p.Arrivals), group(int64(p.Rate)))
	width := max(10, c.Width-label-len(figures))
	rest := max(0, p.Arrivals-p.Buyers.Arrived)
	c.line("arrivals", c.bar(width, p.Arrivals, []part{{p.Buyers.Arrived, "━", "refused"}, {rest, "─", "dim"}})+figures)
}

func (c *canvas) answers(p *storm.Progress) {
	rates := make([]float64, len(p.Points))
	for i := range p.Points {
		if span := p.Points[i].Span; span > 0 {
			rates[i] = float64(p.Points[i].Answers.Total()) / span
		}
	}
	c.trend("answers/s", rates, func(v float64) string { return group(int64(v)) + "/s" })
	t := p.Total
	counts := fmt.Sprintf("%s %s  %s %s  %s %s  shed %s", c.paint("won", "won"), group(t[storm.Won]), c.paint("refused", "lost"), group(t[storm.Lost]),
		c.paint("refused", "refused"), group(t[storm.Refused]), group(t[storm.Shed]))
	unknown := "unknown " + group(t[storm.NoAnswer])
	if t[storm.NoAnswer] > 0 {
		unknown = c.paint("held", unknown)
	}
	c.line("", counts+"  "+unknown)
}

func (c *canvas) latency(p *storm.Progress) {
	p99 := make([]float64, len(p.Points))
	var last storm.Latency
	for i := range p.Points {
		p99[i] = p.Points[i].Latency.P99
		if p.Points[i].Latency.Max > 0 {
			last = p.Points[i].Latency
		}
	}
	c.trend("p99", p99, millis)
	c.line("", fmt.Sprintf("p50 %s   p99 %s   max %s", millis(last.P50), millis(last.P99), millis(last.Max)))
}

var steps = []rune(" ▁▂▃▄▅▆▇█")

// trend draws the last values as a row of small bars, with the highest of them behind.
func (c *canvas) trend(name string, values []float64, show func(float64) string) {
	const figures = 16
	width := c.Width - label - figures
	if len(values) > width {
		values = values[len(values)-width:]
	}
	var top float64
	for _, v := range values {
		top = max(top, v)
	}
	row := make([]rune, 0, width)
	for _, v := range values {
		step := 0
		if top > 0 && v > 0 {
			step = 1 + int(v/top*float64(len(steps)-2)+0.5)
		}
		row = append(row, steps[min(step, len(steps)-1)])
	}
	c.line(name, c.paint("refused", string(row))+strings.Repeat(" ", width-len(row))+"  top "+show(top))
}

func (c *canvas) buyers(p *storm.Progress) {
	b := p.Buyers
	c.line("buyers", fmt.Sprintf("won %s   lost %s", group(b.Won), group(b.Lost)))
	c.line("winners", fmt.Sprintf("paid %s   cancelled %s   walked away %s", group(b.Paid), group(b.Cancelled), group(b.WalkedAway)))
	c.line("", c.paint("dim", notes[p.Phase]))
}

var notes = map[storm.Phase]string{
	storm.Preparing: "making identities, exchanging tokens for passes",
	storm.Storming:  "buyers arrive whether or not the server answers",
	storm.Settling:  "asking about every unknown, last call for the refused",
	storm.Checking:  "holding the history against what the server shows",
	storm.Done:      "done",
}

func millis(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// group writes a number with commas, a large one in thousands or millions.
func group(n int64) string {
	switch {
	case n >= 10_000_000:
		return group(n/1_000_000) + "M"
	case n >= 100_000:
		return group(n/1000) + "k"
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
