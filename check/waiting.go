package check

import (
	"fmt"
	"slices"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// waitLine is one line of the export of the waiting lists. Its seq is in one order with the ledger's.
type waitLine struct {
	seq, quantity               int64
	kind, entry, sale, sku, why string
	user                        uint64
	order                       ident.ID
}

func (l *waitLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "seq":
		l.seq, err = v.Int()
	case "quantity":
		l.quantity, err = v.Int()
	case "kind":
		l.kind = v.Text()
	case "entry":
		l.entry = v.Text()
	case "sale":
		l.sale = v.Text()
	case "sku":
		l.sku = v.Text()
	case "why":
		l.why = v.Text()
	case "user":
		l.user = canonical([]byte(v.Text()))
	case "order":
		l.order, err = ident.Parse(v.Text())
	}
	return err
}

// waiter is an entry that waits, while the ledger is replayed.
type waiter struct {
	entry    string
	quantity int64
	user     uint64
}

func (w *world) waiting(line []byte) error {
	var l waitLine
	if err := ndjson.Fields(line, l.field); err != nil {
		return err
	}
	if l.kind != "wait" && l.kind != "offer" && l.kind != "quit" {
		return fmt.Errorf("entry %d of the waiting lists has kind %q", l.seq, l.kind)
	}
	w.counts["waiting"]++
	w.waits = append(w.waits, l)
	return nil
}

// replayWaits follows who came and went before a place in the order.
func (w *world) replayWaits(before uint64) {
	for len(w.waits) > 0 && uint64(w.waits[0].seq) < before {
		l := w.waits[0]
		w.waits = w.waits[1:]
		w.tally.ran("I13", 1)
		at := w.shelfAt(l.sale, l.sku)
		sh := w.shelves[at]
		if l.kind == "wait" {
			sh.line = append(sh.line, waiter{l.entry, l.quantity, l.user})
			continue
		}
		i := slices.IndexFunc(sh.line, func(x waiter) bool { return x.entry == l.entry })
		switch {
		case l.kind == "offer":
			w.tally.bad("I13", "entry %s is offered order %v, which the ledger does not hold at %d", l.entry, l.order, l.seq)
		case i < 0:
			w.tally.bad("I13", "entry %s leaves at %d a list that it does not wait in", l.entry, l.seq)
		case l.why == "limit-reached" && (sh.limit <= 0 || l.quantity <= sh.limit-w.taken[mix(uint64(at), l.user)]):
			w.tally.bad("I13", "entry %s is skipped at %d although its user's limit allows its %d", l.entry, l.seq, l.quantity)
		}
		if i >= 0 {
			sh.line = slices.Delete(sh.line, i, i+1)
		}
	}
}

// turn checks whose turn a hold was: with somebody waiting whom the free units serve it is the first of those, and else
// nobody's who waits. It stands before the hold is replayed.
func (w *world) turn(l *ledgerLine, sh *shelf) {
	first := slices.IndexFunc(sh.line, func(x waiter) bool { return x.quantity <= sh.replay.available })
	if len(w.waits) == 0 || w.waits[0].seq != l.seq || w.waits[0].kind != "offer" {
		if first >= 0 {
			w.tally.bad("I13", "order %s took %d of %s/%s at %d past entry %s, which waited for %d", l.ref, l.units, l.sale, l.sku, l.seq,
				sh.line[first].entry, sh.line[first].quantity)
		}
		return
	}
	o := w.waits[0]
	w.waits = w.waits[1:]
	w.tally.ran("I13", 1)
	switch {
	case o.order.String() != l.ref || o.sku != l.sku || o.quantity != l.units:
		w.tally.bad("I13", "entry %s is offered %d of %s by order %v, the ledger holds %d for %s", o.entry, o.quantity, o.sku, o.order, l.units, l.ref)
	case first < 0:
		w.tally.bad("I13", "entry %s is offered %d at %d: it does not wait, or so many were not free", o.entry, o.quantity, l.seq)
	case sh.line[first].entry != o.entry || sh.line[first].quantity != o.quantity:
		w.tally.bad("I13", "entry %s is offered %d at %d, the turn was entry %s's", o.entry, o.quantity, l.seq, sh.line[first].entry)
	}
	sh.line = slices.DeleteFunc(sh.line, func(x waiter) bool { return x.entry == o.entry })
}

// finishWaits checks what is left of the lists in the end.
func (w *world) finishWaits() {
	w.replayWaits(^uint64(0))
	for _, sh := range w.shelves {
		if sh.moved {
			continue
		}
		if sh.known && int64(len(sh.line)) != sh.row.Waiting {
			w.tally.bad("I13", "%d entries wait for %s/%s, the stock row says %d", len(sh.line), sh.sale, sh.sku, sh.row.Waiting)
		}
		i := slices.IndexFunc(sh.line, func(x waiter) bool { return x.quantity <= sh.row.Available })
		if i >= 0 && sh.open {
			w.tally.bad("I13", "%d of %s/%s are free while entry %s waits for %d", sh.row.Available, sh.sale, sh.sku, sh.line[i].entry, sh.line[i].quantity)
		}
	}
}
