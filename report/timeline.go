package report

import (
	"maps"
	"slices"
	"time"
)

// steps is the most steps of a timeline: a longer one gets wider steps, so that its size is bounded.
const steps = 240

// timeline counts ledger entries by steps of a width that doubles when there are too many.
type timeline struct {
	width int64 // seconds
	by    map[int64]*change
}

type change struct{ offered, held, sold, back int64 }

func (t *timeline) add(kind string, delta int64, at time.Time) {
	if t.by == nil {
		t.width, t.by = 1, map[int64]*change{}
	}
	k := at.Unix() / t.width
	c := t.by[k]
	if c == nil {
		c = &change{}
		t.by[k] = c
	}
	n := max(delta, -delta)
	switch kind {
	case "offer":
		c.offered += n
	case "withdraw":
		c.offered -= n
	case "hold":
		c.held += n
	case "sell":
		c.sold += n
	case "release":
		c.back += n
	}
	for len(t.by) > steps {
		t.widen()
	}
}

// widen doubles the width of a step.
func (t *timeline) widen() {
	old := t.by
	t.width, t.by = t.width*2, make(map[int64]*change, len(old)/2)
	for k, c := range old {
		to := t.by[k/2]
		if to == nil {
			t.by[k/2] = c
			continue
		}
		to.offered, to.held, to.sold, to.back = to.offered+c.offered, to.held+c.held, to.sold+c.sold, to.back+c.back
	}
}

// moments returns the steps in which something happened. What was released is taken from the held first: the ledger does not
// say whether it had been paid for.
func (t *timeline) moments() ([]Moment, int64) {
	out := []Moment{}
	var m Moment
	for _, k := range slices.Sorted(maps.Keys(t.by)) {
		c := t.by[k]
		m.At = time.Unix(k*t.width, 0).UTC()
		m.Held, m.Sold, m.Released = c.held, c.sold, c.back
		m.InHold += c.held - c.sold
		m.InSold += c.sold
		m.Free += c.offered - c.held + c.back
		fromHold := min(c.back, max(m.InHold, 0))
		m.InHold, m.InSold = m.InHold-fromHold, m.InSold-(c.back-fromHold)
		out = append(out, m)
	}
	return out, t.width
}
