//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
)

// unit says how a figure is printed.
type unit string

const (
	perSecond unit = "k/s"
	micros    unit = "µs"
	plain     unit = ""
)

// figure is what was measured of one thing, once per round.
type figure struct {
	name   string
	unit   unit
	values []float64
	note   string
}

// figures keep the order in which they first came.
type figures struct{ all []*figure }

// add adds a round's value and returns the figure.
func (f *figures) add(name string, u unit, value float64) *figure {
	fig := f.get(name)
	if fig == nil {
		fig = &figure{name: name, unit: u}
		f.all = append(f.all, fig)
	}
	fig.values = append(fig.values, value)
	return fig
}

func (f *figures) get(name string) *figure {
	for _, fig := range f.all {
		if fig.name == name {
			return fig
		}
	}
	return nil
}

// most is the highest value of a figure so far, or otherwise.
func (f *figures) most(name string, otherwise float64) float64 {
	if fig := f.get(name); fig != nil {
		return slices.Max(fig.values)
	}
	return otherwise
}

func (f *figures) print(w io.Writer) {
	for _, fig := range f.all {
		fmt.Fprintf(w, "%-58s %s", fig.name, of(fig.values).text(fig.unit))
		if fig.note != "" {
			fmt.Fprintf(w, "  %s", fig.note)
		}
		fmt.Fprintln(w)
	}
}

// ratio prints a over b, round by round, where both were measured.
func (f *figures) ratio(w io.Writer, a, b, aim string) {
	x, y := f.get(a), f.get(b)
	if x == nil || y == nil || len(x.values) != len(y.values) {
		return
	}
	fmt.Fprintf(w, "%-82s %s  aim %s\n", a+" / "+b, over(x.values, y.values).text(plain), aim)
}

// spread is the median of some figures with their range.
type spread struct{ mid, low, high float64 }

func of(v []float64) spread {
	s := slices.Sorted(slices.Values(v))
	return spread{mid: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, low: s[0], high: s[len(s)-1]}
}

// over divides round by round, so that what slowed both of a round cancels out.
func over(a, b []float64) spread {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return of(r)
}

func (s spread) text(u unit) string {
	form, by := "%6.2f%s (%.2f … %.2f)", 1.0
	switch u {
	case perSecond:
		form, by = "%6.1f%s (%.1f … %.1f)", 1e3
	case micros:
		form = "%6.1f%s (%.1f … %.1f)"
	}
	return fmt.Sprintf(form, s.mid/by, u, s.low/by, s.high/by)
}
