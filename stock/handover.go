package stock

import (
	"context"
	"strconv"
	"strings"

	"penstock/errs"
	"penstock/stock/driver"
)

// phase orders the calls of a batch, all of which are concurrent: what changes and frees units, then those who wait, then
// those who buy, then those who begin to wait. The journal numbers them in the same order, so that whoever replays it line by
// line finds the units that a decision found.
type phase uint8

const (
	changing phase = iota
	buying
	joining
)

// decide decides a batch, phase by phase and in order of arrival.
func (w *work) decide(batch []call) {
	w.run(batch, changing)
	for i := range w.levels {
		w.handOver(i)
	}
	w.run(batch, buying)
	w.run(batch, joining)
}

func (w *work) run(batch []call, p phase) {
	for _, c := range batch {
		if c.phase() == p {
			c.decide(w)
		}
	}
}

// handOverKey begins the key of a claim that was made for an entry of a waiting list. No buyer's attempt may use one.
const handOverKey = "wait:"

func keyOf(entry uint64) string { return handOverKey + strconv.FormatUint(entry, 10) }

// EntryOf returns the entry of a waiting list that a claim with this key was made for.
func EntryOf(key string) (entry string, yes bool) {
	entry, yes = strings.CutPrefix(key, handOverKey)
	if !yes {
		return "", false
	}
	return entry, true
}

// WhySkipped is why an entry is passed over for good: its user's allowance is used up when its turn comes.
const WhySkipped = string(errs.LimitReached)

// handOver gives the free units of a row to those who wait for it, in their order: each gets all that he asked for, or keeps
// his place while the next are asked. Afterwards nobody waits whom the rest would serve.
func (w *work) handOver(i int) {
	l := w.levels[i]
	if l == nil || l.Waiting == 0 || l.Available == 0 {
		return
	}
	at, ok := w.saleAt[l.Sale]
	if !ok {
		return
	}
	sale := w.sales[at]
	if _, no := Window(sale, w.now); no || sale.SoldOut {
		return
	}
	list := driver.StockRef{Sale: l.Sale, SKU: l.SKU}
	for behind := uint64(0); l.Available > 0 && l.Waiting > 0; {
		page := w.next(list, behind, l.Available)
		if len(page) == 0 {
			return
		}
		for _, e := range page {
			behind = e.Seq
			if !w.gone[e.Seq] && e.Quantity <= l.Available {
				w.offer(i, sale, e)
			}
		}
	}
}

// offer holds units for an entry, or skips it for good when its user's limit does not allow them any more.
func (w *work) offer(i int, sale *driver.Sale, e *driver.Waiter) {
	ref := driver.TakenRef{Sale: sale.ID, SKU: e.SKU, User: e.Key.User}
	taken, limit := w.takenOf(ref, e.Taken), item(sale, e.SKU).Limit
	if limit > 0 && e.Quantity > limit-taken {
		w.settle(i, driver.Settle{Seq: e.Seq, List: e.List(), To: driver.Skipped, Why: WhySkipped})
		return
	}
	items := []Item{{SKU: e.SKU, Quantity: e.Quantity}}
	rec := record(w, sale, driver.Key{Sale: sale.ID, User: e.Key.User, Key: keyOf(e.Seq)}, items)
	rec.Body = hashItems(items)
	hold(w, sale, rec)
	l := w.touch(i)
	l.Available -= e.Quantity
	l.Held += e.Quantity
	w.setTaken(ref, taken+e.Quantity)
	if k, asked := w.keyAt[rec.Key]; asked {
		w.known[k] = rec
	}
	w.changes.Attempts = append(w.changes.Attempts, rec)
	w.settle(i, driver.Settle{Seq: e.Seq, List: e.List(), To: driver.Offered, Order: rec.ID})
}

// takenOf returns an allowance as this batch has left it; read is what the database says.
func (w *work) takenOf(ref driver.TakenRef, read int64) int64 {
	if i, asked := w.takenAt[ref]; asked {
		return w.taken[i]
	}
	if n, known := w.extra[ref]; known {
		return n
	}
	return read
}

func (w *work) setTaken(ref driver.TakenRef, n int64) {
	if i, asked := w.takenAt[ref]; asked {
		w.taken[i] = n
	} else {
		w.extra[ref] = n
	}
}

// settle takes an entry off the list of row i.
func (w *work) settle(i int, s driver.Settle) {
	w.touch(i).Waiting--
	w.gone[s.Seq] = true
	w.changes.Settled = append(w.changes.Settled, s)
	if at, asked := w.waiterAt[s.Seq]; asked {
		e := w.waiters[at]
		e.State, e.Order, e.Why = s.To, s.Order, s.Why
	}
}

// listsOf names the rows of a sale that keeps a waiting list.
func (s *Stock) listsOf(ctx context.Context, sale string) ([]driver.StockRef, error) {
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for i := range snap.Sales {
		if snap.Sales[i].ID != sale || !snap.Sales[i].WaitingList {
			continue
		}
		var refs []driver.StockRef
		for _, it := range snap.Sales[i].Items {
			refs = append(refs, driver.StockRef{Sale: sale, SKU: it.SKU})
		}
		return refs, nil
	}
	return nil, nil
}
