package check

import (
	"fmt"
	"time"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// noClaim is the ref of an entry whose claim the stock database does not have.
const noClaim = "0"

// ledgerLine is one line of the stock ledger. The magnitude of delta is the number of units; kind says where they went.
type ledgerLine struct {
	seq, units, at       int64
	sale, sku, kind, ref string
}

func (l *ledgerLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "seq":
		l.seq, err = v.Int()
	case "delta":
		l.units, err = v.Int()
		l.units = max(l.units, -l.units)
	case "at":
		l.at, err = v.Nanos()
	case "sale":
		l.sale = v.Text()
	case "sku":
		l.sku = v.Text()
	case "kind":
		l.kind = v.Text()
	case "ref":
		l.ref = v.Text()
	}
	return err
}

func (w *world) ledger(line []byte) error {
	var l ledgerLine
	if err := ndjson.Fields(line, l.field); err != nil {
		return err
	}
	w.counts["ledger"]++
	w.sequence(&l)
	w.replayWaits(uint64(max(l.seq, 0)))
	at := w.shelfAt(l.sale, l.sku)
	sh := w.shelves[at]
	switch l.kind {
	case "offer":
		sh.replay.offered += l.units
		sh.replay.available += l.units
		sh.rise(&l)
	case "withdraw":
		sh.replay.withdrawn += l.units
		sh.replay.available -= l.units
	case "hold", "release", "sell":
		if l.kind == "hold" {
			w.turn(&l, sh)
		}
		if err := w.move(&l, sh, at); err != nil {
			return err
		}
	default:
		return fmt.Errorf("ledger entry %d has kind %q", l.seq, l.kind)
	}
	w.tally.ran("I1", 1)
	if r := &sh.replay; r.available < 0 || r.held < 0 || r.sold < 0 {
		w.tally.bad("I1", "after ledger entry %d %s/%s has available %d, held %d, sold %d", l.seq, l.sale, l.sku, r.available, r.held, r.sold)
	}
	return nil
}

func (sh *shelf) rise(l *ledgerLine) { sh.lastRise = max(sh.lastRise, l.at) }

// sequence checks that the published order of decisions is an order.
func (w *world) sequence(l *ledgerLine) {
	w.tally.ran("I13", 1)
	if l.seq <= 0 || uint64(l.seq) <= w.seq {
		w.tally.bad("I13", "ledger entry %d stands behind entry %d", l.seq, w.seq)
	}
	w.seq = max(w.seq, uint64(max(l.seq, 0)))
	if l.at < w.lastAt {
		w.clocks++
	}
	w.lastAt = l.at
}

// move replays an entry about a purchase.
func (w *world) move(l *ledgerLine, sh *shelf, at uint32) error {
	id, err := ident.Parse(l.ref)
	if l.ref == noClaim {
		w.tally.bad("I2", "ledger entry %d (%s of %d %s/%s) is about a claim that is not there", l.seq, l.kind, l.units, l.sale, l.sku)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger entry %d (%s): ref: %w", l.seq, l.kind, err)
	}
	p, _ := w.buys.get(id)
	h := lineHash(at, l.units)
	switch l.kind {
	case "hold":
		w.hold(l, sh, at, p)
		p.held += h
	case "sell":
		sh.replay.held -= l.units
		sh.replay.sold += l.units
		p.soldLines += h
		p.soldAt = l.at
	case "release":
		if p.soldLines != 0 {
			sh.replay.sold -= l.units
		} else {
			sh.replay.held -= l.units
		}
		sh.replay.available += l.units
		sh.rise(l)
		p.freed += h
		if sh.limit > 0 {
			w.taken[mix(uint64(at), p.user)] -= l.units
		}
	}
	return nil
}

// hold replays a hold, and checks the window and the user's limit at that moment.
func (w *world) hold(l *ledgerLine, sh *shelf, at uint32, p *purchase) {
	sh.replay.available -= l.units
	sh.replay.held += l.units
	if p.seq == 0 {
		p.seq = uint64(l.seq)
	}
	p.hasHold = true
	if win := w.windows[l.sale]; win != nil {
		w.tally.ran("I14", 1)
		if l.at < win.start || l.at >= win.end {
			w.tally.bad("I14", "order %v was held at %s, the sale is open from %s to %s", p.id, stamp(l.at), stamp(win.start), stamp(win.end))
		}
	}
	if sh.limit <= 0 {
		return
	}
	w.tally.ran("I7", 1)
	k := mix(uint64(at), p.user)
	w.taken[k] += l.units
	if n := w.taken[k]; n > sh.limit {
		w.tally.bad("I7", "with order %v its user has %d of %s/%s, the limit is %d", p.id, n, l.sale, l.sku, sh.limit)
	}
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
