package check

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"penstock/check/history"
	"penstock/internal/ident"
)

// wish is what a history says about one key. Times are ns of the client's clock.
type wish struct {
	shelf               uint32
	quantity            int64
	cart                bool  // several SKUs: the history names none, and only the amount can be compared
	firstSend, lastSend int64 // of attempts
	firstAck            int64
	acked               ident.ID
	amount              int64
	open                int32 // attempts without an answer line
	sawNack, sawUnknown bool
	noStock             bool // the last answered attempt was refused because nothing was free
	askedSince          bool // somebody asked after the last attempt
	saidNo, saidUnknown bool // what the last such answer was
	disagree            bool // two definite answers that cannot both be true
	otherOrder          ident.ID
}

func (w *world) readHistory(path string) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w.opt.Progress("reading the history")
	return w.tell(f)
}

func (w *world) tell(r io.Reader) error {
	w.told, w.asked = true, map[uint64]*wish{}
	return history.Scan(r, func(rec *history.Record) error {
		w.counts["history"]++
		if rec.Op != history.Buy && rec.Op != history.Ask {
			return nil
		}
		k := scoped(rec.Sale, []byte(rec.User), []byte(rec.Key))
		x := w.asked[k]
		if x == nil {
			x = &wish{firstSend: rec.TSend.UnixNano()}
			w.asked[k] = x
		}
		switch {
		case rec.Phase == history.Send && rec.Op == history.Buy:
			if x.cart = rec.SKU == ""; !x.cart {
				x.shelf, x.quantity = w.shelfAt(rec.Sale, rec.SKU), rec.Qty
			}
			x.send(rec.TSend.UnixNano())
		case rec.Phase == history.Recv && rec.Op == history.Buy:
			x.open--
			x.answer(rec)
		case rec.Phase == history.Recv:
			x.hear(rec)
		}
		return nil
	})
}

func (x *wish) send(at int64) {
	x.open++
	x.lastSend = max(x.lastSend, at)
	x.askedSince, x.saidNo, x.saidUnknown = false, false, false
}

// answer takes the answer to an attempt.
func (x *wish) answer(rec *history.Record) {
	outcome := rec.Outcome()
	x.noStock = outcome == history.Nack && history.NoStock(rec.Problem)
	switch outcome {
	case history.Ack:
		x.ack(rec)
	case history.Nack:
		x.sawNack = true
	case history.Unknown:
		x.sawUnknown = true
	}
}

func (x *wish) ack(rec *history.Record) {
	id, err := ident.Parse(rec.Order)
	switch {
	case err != nil:
		x.disagree = true
	case x.acked == 0:
		x.acked, x.firstAck, x.amount = id, rec.TRecv.UnixNano(), rec.Amount
	case x.acked != id:
		x.otherOrder = id
	}
}

// hear takes the answer to a question about the key. Only what was asked after the last attempt settles it.
func (x *wish) hear(rec *history.Record) {
	switch rec.Outcome() {
	case history.Ack:
		x.ack(rec)
		x.askedSince, x.saidNo, x.saidUnknown = true, false, false
	case history.Nack:
		if rec.Status != 404 && rec.Status != 200 {
			return // refused to answer, which says nothing
		}
		x.disagree = x.disagree || x.acked != 0
		x.askedSince, x.saidNo, x.saidUnknown = true, true, false
	case history.Unknown:
		if rec.Status == 200 || rec.Status == 202 {
			x.askedSince, x.saidNo, x.saidUnknown = true, false, true
		}
	}
}

// finishWishes judges what only a history can tell.
func (w *world) finishWishes() {
	if !w.told {
		for _, id := range []string{"I3", "I5", "I6"} {
			w.tally.skip(id, "needs a history")
		}
		return
	}
	var silent int64
	for k, x := range w.asked {
		if x.lastSend == 0 {
			continue
		}
		var p *purchase
		if i, ok := w.byKey[k]; ok {
			p = w.buys.at(i)
		}
		w.judgeAck(x, p)
		silent += w.judgeUnknown(x, p)
		if x.acked == 0 && x.sawNack && !x.sawUnknown && x.open <= 0 {
			w.tally.ran("I6", 1)
			if p != nil {
				w.tally.bad("I6", "order %v belongs to a key that only ever got a definite no", p.id)
			}
		}
	}
	if silent > 0 {
		w.tally.note("I5", "%d more ended unknown and nobody asked again", silent)
	}
	w.judgeHunger()
	w.judgeFairness()
}

func (w *world) judgeAck(x *wish, p *purchase) {
	if x.acked == 0 {
		return
	}
	w.tally.ran("I4", 1)
	switch {
	case x.otherOrder != 0:
		w.tally.bad("I4", "one key was acknowledged with two orders: %v and %v", x.acked, x.otherOrder)
	case p == nil:
		w.tally.bad("I4", "order %v was acknowledged; its key has no claim", x.acked)
	case p.id != x.acked:
		w.tally.bad("I4", "order %v was acknowledged; its key has order %v", x.acked, p.id)
	case !x.cart && p.claimed != lineHash(x.shelf, x.quantity):
		w.tally.bad("I4", "order %v is not for what was acknowledged", x.acked)
	case x.amount != 0 && p.orders > 0 && x.amount != p.amount:
		w.tally.bad("I4", "order %v was acknowledged at %d and costs %d", x.acked, x.amount, p.amount)
	}
}

// judgeUnknown returns 1 for a key whose unknown nobody asked about.
func (w *world) judgeUnknown(x *wish, p *purchase) int64 {
	if !x.sawUnknown && x.open <= 0 && !x.disagree {
		return 0
	}
	if !x.askedSince && x.acked == 0 {
		return 1
	}
	w.tally.ran("I5", 1)
	switch {
	case x.disagree:
		w.tally.bad("I5", "a key got answers that cannot both be true; one of them named order %v", x.acked)
	case x.saidUnknown && w.drained:
		w.tally.bad("I5", "a key is still unknown although nothing is in flight (sent %s)", stamp(x.firstSend))
	case x.saidNo && p != nil:
		w.tally.bad("I5", "the key of order %v was said not to have bought", p.id)
	}
	return 0
}

// gateResync is how long a filter may still say no after units came back.
const gateResync = time.Second

// judgeHunger finds buyers who were refused for lack of stock while units were free: after the last moment at which units came
// back, the free units of the end were free all the time.
func (w *world) judgeHunger() {
	if w.counts["forcedSoldOut"] > 0 {
		w.tally.skip("I3", "an operator forced sold-out")
		return
	}
	var late int64
	for _, x := range w.asked {
		if x.cart || (x.acked == 0 && !x.noStock) {
			continue
		}
		w.tally.ran("I3", 1)
		sh := w.shelves[x.shelf]
		if x.acked != 0 || x.quantity > sh.row.Available {
			continue
		}
		if x.lastSend > sh.lastRise+int64(gateResync) {
			w.tally.bad("I3", "a buyer of %d %s was refused at %s although %d are free since %s",
				x.quantity, sh.sku, stamp(x.lastSend), sh.row.Available, stamp(sh.lastRise))
			continue
		}
		late++
	}
	if late > 0 {
		w.tally.skip("I3", fmt.Sprintf("units came back after the last of %d refused buyers had asked", late))
	}
}

// judgeFairness checks that who had his yes before another began to ask stands before him in the published sequence.
func (w *world) judgeFairness() {
	type win struct {
		seq       uint64
		send, ack int64
		id        ident.ID
	}
	var wins []win
	for k, x := range w.asked {
		if i, ok := w.byKey[k]; ok && x.acked != 0 {
			p := w.buys.at(i)
			if p.seq == 0 {
				continue
			}
			wins = append(wins, win{p.seq, x.firstSend, x.firstAck, p.id})
		}
	}
	slices.SortFunc(wins, func(a, b win) int { return cmp.Compare(a.seq, b.seq) })
	var latest int64
	for _, v := range wins {
		w.tally.ran("I13", 1)
		if v.ack < latest {
			w.tally.bad("I13", "order %v was acknowledged at %s and stands behind one first asked for at %s", v.id, stamp(v.ack), stamp(latest))
		}
		latest = max(latest, v.send)
	}
}
