package stock

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// attempt is one buyer's call in a batch.
type attempt struct {
	stock *Stock
	key   driver.Key
	items []Item // sorted by SKU
	body  [16]byte
	trace string

	pass             uint64
	replay           bool
	keyAt, saleAt    int
	passAt           int
	levelAt, takenAt []int

	answer Answer
	done   chan struct{}
}

func newAttempt(s *Stock, r Request) *attempt {
	a, ok := s.spare.Get().(*attempt)
	if !ok {
		a = &attempt{done: make(chan struct{}, 1)}
	}
	a.stock, a.trace, a.pass, a.replay = s, r.Trace, r.Pass, r.Replay
	a.key = driver.Key{Sale: r.Sale, User: r.User, Key: r.Key}
	a.items = append(a.items[:0], r.Items...)
	if len(a.items) > 1 {
		slices.SortFunc(a.items, func(x, y Item) int { return strings.Compare(x.SKU, y.SKU) })
	}
	a.body = hashItems(a.items)
	a.answer = Answer{}
	return a
}

// recycle gives the attempt back. Only the caller that has received from done, or whose attempt was never sent, may do so.
func (a *attempt) recycle() { a.stock.spare.Put(a) }

// hashItems hashes items sorted by SKU, so that the short and the long form of a body, and any order of lines, are one body.
func hashItems(items []Item) [16]byte {
	buf := make([]byte, 0, 128)
	for _, it := range items {
		buf = binary.AppendUvarint(buf, uint64(len(it.SKU)))
		buf = append(buf, it.SKU...)
		buf = binary.AppendVarint(buf, it.Quantity)
	}
	sum := sha256.Sum256(buf)
	return [16]byte(sum[:16])
}

func (a *attempt) need(w *work) {
	a.keyAt, a.saleAt = w.needKey(a.key), w.needSale(a.key.Sale)
	if a.pass != 0 {
		a.passAt = w.needPass(driver.PassRef{Sale: a.key.Sale, User: a.key.User, Entry: a.pass})
	}
	a.levelAt, a.takenAt = a.levelAt[:0], a.takenAt[:0]
	for _, it := range a.items {
		a.levelAt = append(a.levelAt, w.needLevel(driver.StockRef{Sale: a.key.Sale, SKU: it.SKU}))
		a.takenAt = append(a.takenAt, w.needTaken(driver.TakenRef{Sale: a.key.Sale, SKU: it.SKU, User: a.key.User}))
	}
}

func (*attempt) phase() phase { return buying }

// decide is the order of precedence: a known key, the sale's end, the pass, the sale's state, the user's limit, the stock.
func (a *attempt) decide(w *work) {
	if known := w.known[a.keyAt]; known != nil {
		a.answer = answerOf(known, true)
		if known.Body != a.body {
			a.answer = Answer{State: Lost, Reason: errs.KeyReused}
		}
		return
	}
	if a.replay {
		a.answer = Answer{State: Lost, Reason: errs.PassRequired}
		return
	}
	sale := w.sales[a.saleAt]
	refused, no := Window(sale, w.now)
	if a.pass != 0 && w.used[a.passAt] && refused.Reason != errs.SaleClosed { // a sale that is over may have forgotten its passes
		a.answer = Answer{State: Lost, Reason: errs.PassUsed}
		return
	}
	if no {
		a.answer = refused
		return
	}
	if strings.HasPrefix(a.key.Key, handOverKey) { // else a buyer could be in the way of a hand-over
		a.answer = Answer{State: Lost, Reason: errs.Invalid}
		return
	}
	if !a.inSale(sale) {
		a.answer = Answer{State: Lost, Reason: errs.Invalid}
		return
	}
	if sale.SoldOut {
		a.bind(w, sale, errs.SoldOut, Answer{SKU: a.items[0].SKU})
		return
	}
	if sku, left, over := a.overLimit(w, sale); over {
		a.bind(w, sale, errs.LimitReached, Answer{SKU: sku, Left: left})
		return
	}
	for i, it := range a.items {
		if refused, no := a.short(w.levels[a.levelAt[i]], it); no {
			if refused.Reason == errs.SoldOut {
				a.bind(w, sale, errs.SoldOut, refused)
			} else {
				a.answer = refused
			}
			return
		}
	}
	a.win(w, sale)
}

// Window says whether a sale takes attempts at a moment, and if not, the refusal. It binds nothing. A sale takes attempts in
// [StartsAt, EndsAt).
func Window(sale *driver.Sale, now time.Time) (refused Answer, no bool) {
	switch {
	case sale == nil:
		return Answer{State: Lost, Reason: errs.NotFound}, true
	case !sale.ClosedAt.IsZero() || !now.Before(sale.EndsAt):
		return Answer{State: Lost, Reason: errs.SaleClosed}, true
	case now.Before(sale.StartsAt):
		return Answer{State: Lost, Reason: errs.SaleNotOpen, OpensAt: sale.StartsAt, RetryAfter: sale.StartsAt.Sub(now)}, true
	case sale.Paused:
		return Answer{State: Lost, Reason: errs.SalePaused, RetryAfter: 2 * time.Second}, true
	}
	return Answer{}, false
}

func (a *attempt) inSale(sale *driver.Sale) bool {
	for _, it := range a.items {
		if it.Quantity < 1 || item(sale, it.SKU) == nil {
			return false
		}
	}
	return len(a.items) > 0
}

func item(sale *driver.Sale, sku string) *driver.SaleItem {
	for i := range sale.Items {
		if sale.Items[i].SKU == sku {
			return &sale.Items[i]
		}
	}
	return nil
}

func (a *attempt) overLimit(w *work, sale *driver.Sale) (sku string, left int64, over bool) {
	for i, it := range a.items {
		limit, taken := item(sale, it.SKU).Limit, w.taken[a.takenAt[i]]
		if limit > 0 && it.Quantity > limit-taken {
			return it.SKU, max(limit-taken, 0), true
		}
	}
	return "", 0, false
}

// short says whether a stock row cannot give what is asked.
func (a *attempt) short(l *driver.Stock, it Item) (refused Answer, no bool) {
	refused = Answer{State: Lost, SKU: it.SKU}
	switch {
	case l == nil || (l.Available == 0 && l.Held == 0):
		refused.Reason = errs.SoldOut
	case l.Available == 0:
		refused.Reason, refused.RetryAfter = errs.StockHeld, a.stock.opt.HeldRetry
	case l.Available < it.Quantity:
		refused.Reason, refused.Left, refused.RetryAfter = errs.NotEnoughLeft, l.Available, a.stock.opt.HeldRetry
	default:
		return Answer{}, false
	}
	return refused, true
}

// bind makes a final no durable under its key.
func (a *attempt) bind(w *work, sale *driver.Sale, reason errs.Code, why Answer) {
	rec := record(w, sale, a.key, a.items)
	rec.Body, rec.Trace = a.body, a.trace
	rec.Reason, rec.SKU, rec.Left = reason, why.SKU, why.Left
	rec.Amount, rec.State = 0, driver.None
	a.commit(w, rec)
}

func (a *attempt) win(w *work, sale *driver.Sale) {
	rec := record(w, sale, a.key, a.items)
	rec.Body, rec.Trace = a.body, a.trace
	hold(w, sale, rec)
	for i, it := range a.items {
		l := w.touch(a.levelAt[i])
		l.Available -= it.Quantity
		l.Held += it.Quantity
		w.taken[a.takenAt[i]] += it.Quantity
	}
	a.commit(w, rec)
}

// hold makes a record a claim whose payment window begins now.
func hold(w *work, sale *driver.Sale, rec *driver.Attempt) {
	rec.State = driver.Held
	rec.PayBefore = w.now.Add(sale.Window)
	rec.ReleaseAt = rec.PayBefore.Add(sale.Grace)
	w.won++
}

// record makes a bound answer about items of a sale at its prices.
func record(w *work, sale *driver.Sale, key driver.Key, items []Item) *driver.Attempt {
	rec := &driver.Attempt{
		ID: w.stock.ids.Next(w.now, ident.SlotOf(key.User)), Key: key, At: w.now, Lines: make([]driver.Line, len(items)),
	}
	for i, it := range items {
		si := item(sale, it.SKU)
		rec.Lines[i] = driver.Line{SKU: it.SKU, Quantity: it.Quantity, Price: si.Price}
		rec.Amount += si.Price * it.Quantity
		rec.Currency = si.Currency
	}
	return rec
}

func (a *attempt) commit(w *work, rec *driver.Attempt) {
	w.known[a.keyAt] = rec
	w.changes.Attempts = append(w.changes.Attempts, rec)
	if a.pass != 0 { // used with the key, in one row
		rec.Pass, w.used[a.passAt] = a.pass, true
	}
	a.answer = answerOf(rec, false)
}

func (a *attempt) finish(err error) {
	switch {
	case err == nil:
	case errors.Is(err, driver.ErrUnknown):
		a.answer = Answer{State: Unknown, RetryAfter: time.Second}
	case errors.Is(err, driver.ErrUnavailable):
		a.answer = Answer{State: Lost, Reason: errs.ReducedCapacity, RetryAfter: time.Second}
	default:
		a.answer = Answer{State: Lost, Reason: errs.Internal}
	}
	a.stock.busy.leave(a.key)
	a.done <- struct{}{}
}
