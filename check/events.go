package check

import (
	"fmt"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

func (w *world) event(line []byte) error {
	var id ident.ID
	var n int64
	var from, to string
	err := ndjson.Fields(line, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "order":
			id, err = ident.Parse(v.Text())
		case "n":
			n, err = v.Int()
		case "from":
			from = v.Text()
		case "to":
			to = v.Text()
		}
		return err
	})
	if err != nil {
		return err
	}
	if id == 0 {
		return errNoID
	}
	a, okFrom := orderStates[from]
	b, okTo := orderStates[to]
	if !okFrom || !okTo {
		return fmt.Errorf("event %d of order %v goes from %q to %q", n, id, from, to)
	}
	w.counts["events"]++
	w.tally.ran("I9", 1)
	p, _ := w.buys.get(id)
	switch {
	case n != int64(p.lastEvent)+1:
		w.tally.bad("I9", "order %v has event %d after event %d", id, n, p.lastEvent)
	case a != p.lastTo:
		w.tally.bad("I9", "event %d of order %v goes from %v, but the order was %v", n, id, a, p.lastTo)
	case !legal[[2]orderState{a, b}]:
		w.tally.bad("I9", "event %d of order %v goes from %v to %v, which is no edge", n, id, a, b)
	}
	p.lastEvent, p.lastTo = int32(n), b
	p.wasPaid = p.wasPaid || b == orderPaid
	p.revived = p.revived || a == orderExpired && b == orderPaid
	return nil
}
