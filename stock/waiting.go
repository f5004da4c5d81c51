package stock

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/stock/driver"
)

// JoinRequest is one call to wait for units of a SKU. Quantity is at least 1. Key is an idempotency key of its own: it has
// nothing to do with the keys of attempts.
type JoinRequest struct {
	Sale, User, Key, SKU string
	Quantity             int64
}

// Entry is an entry of a waiting list as its user sees it.
type Entry struct {
	driver.Waiter
	// Position is 1 for the first who waits, 0 for an entry that does not wait. It means nothing after the end of the sale.
	Position int64
	// Expired says that nothing will come, or comes any more, of the entry: the sale ended while it waited (Why "sale-closed"),
	// or its order was not paid in time (Why "expired").
	Expired bool
	// Replayed is true when the key of the call had made the entry before.
	Replayed bool
}

// Join puts a user on the waiting list of a SKU, behind everyone who waits. What is free is bought, not waited for.
//
// Errors: those of an attempt for the sale's state; errs.NoWaitingList; errs.Invalid; errs.LimitReached for more than one user
// may ever have; errs.AlreadyWaiting for a user with an entry that waits; errs.StockAvailable when the units are free;
// errs.KeyReused for another wish under the same key. All but errs.Unknown mean that nothing was executed.
func (s *Stock) Join(ctx context.Context, r JoinRequest) (Entry, error) {
	j := &join{r: r}
	if err := s.doIn(ctx, joining, j.need, j.decide); err != nil {
		return Entry{}, err
	}
	e, err := s.entry(ctx, j.entry.Seq)
	if err == nil && e == nil {
		err = errs.New(errs.Internal, "entry %d is not there after its commit", j.entry.Seq)
	}
	if err != nil { // the entry is durable; only its place could not be read
		return Entry{}, errs.Wrap(errs.Unknown, err, "the entry could not be read; ask again with the same key")
	}
	e.Replayed = j.replayed
	return *e, nil
}

type join struct {
	r                       JoinRequest
	joinAt, saleAt, levelAt int
	entry                   *driver.Waiter
	replayed                bool
}

func (j *join) need(w *work) {
	key := driver.Key{Sale: j.r.Sale, User: j.r.User, Key: j.r.Key}
	j.saleAt = w.needSale(j.r.Sale)
	j.levelAt = w.needLevel(driver.StockRef{Sale: j.r.Sale, SKU: j.r.SKU})
	j.joinAt = w.needJoin(driver.JoinRef{Key: key, SKU: j.r.SKU})
}

func (j *join) decide(w *work) error {
	there := w.joins[j.joinAt]
	if known := there.Known; known != nil {
		if known.SKU != j.r.SKU || known.Quantity != j.r.Quantity {
			return errs.New(errs.KeyReused, "the key was used before to wait for something else")
		}
		j.entry, j.replayed = known, true
		return nil
	}
	if err := j.refused(w, there.Live); err != nil {
		return err
	}
	j.entry = &driver.Waiter{
		Key: driver.Key{Sale: j.r.Sale, User: j.r.User, Key: j.r.Key}, SKU: j.r.SKU, Quantity: j.r.Quantity, At: w.now,
		State: driver.Waiting,
	}
	j.replayed = false
	w.touch(j.levelAt).Waiting++
	w.joined(j.entry)
	w.changes.Waiters = append(w.changes.Waiters, j.entry)
	return nil
}

// joined lets later calls of the batch see the entry.
func (w *work) joined(e *driver.Waiter) {
	for ref, i := range w.joinAt {
		if ref.Key == e.Key {
			w.joins[i].Known = e
		}
		if ref.Key.Sale == e.Key.Sale && ref.Key.User == e.Key.User && ref.SKU == e.SKU {
			w.joins[i].Live = e
		}
	}
}

func (j *join) refused(w *work, live *driver.Waiter) error {
	sale, l := w.sales[j.saleAt], w.levels[j.levelAt]
	if refused, no := Window(sale, w.now); no {
		e := errs.New(refused.Reason, "the sale does not take entries now")
		e.RetryAfter = refused.RetryAfter
		return e
	}
	it := item(sale, j.r.SKU)
	switch {
	case !sale.WaitingList:
		return errs.New(errs.NoWaitingList, "sale %q keeps no waiting list", sale.ID)
	case it == nil || l == nil || j.r.Quantity < 1:
		return errs.New(errs.Invalid, "the sale does not offer %d of %q", j.r.Quantity, j.r.SKU)
	case it.Limit > 0 && j.r.Quantity > it.Limit:
		e := errs.New(errs.LimitReached, "one buyer may have %d", it.Limit)
		e.Extra = map[string]any{"left": it.Limit}
		return e
	case live != nil && !w.gone[live.Seq]:
		e := errs.New(errs.AlreadyWaiting, "you wait for %q already", j.r.SKU)
		if live.Seq != 0 {
			e.Extra = map[string]any{"entry": strconv.FormatUint(live.Seq, 10)}
		}
		return e
	case l.Available >= j.r.Quantity && !sale.SoldOut:
		e := errs.New(errs.StockAvailable, "%d of %q are free: buy them", l.Available, j.r.SKU)
		e.Extra = map[string]any{"left": l.Available}
		return e
	}
	return nil
}

// Leave takes a user's entry off its list. An entry that does not wait any more is errs.IllegalTransition, except that leaving
// twice is one; after the end of the sale it is errs.SaleClosed; an entry of another user or sale, like one that never was, is errs.NotFound.
func (s *Stock) Leave(ctx context.Context, sale, user string, entry uint64) (Entry, error) {
	e, err := s.Waiting(ctx, sale, user, entry)
	if err != nil {
		return Entry{}, err
	}
	var at, levelAt, saleAt int
	var after driver.Waiter
	needs := func(w *work) {
		at, levelAt = w.needWaiter(entry), w.needLevel(e.List())
		saleAt = w.needSale(sale)
	}
	err = s.do(ctx, needs, func(w *work) error {
		now := w.waiters[at]
		switch {
		case now == nil:
			return errs.New(errs.NotFound, "there is no entry %d", entry)
		case now.State == driver.Waiting && ended(w.sales[saleAt], w.now):
			return errs.New(errs.SaleClosed, "sale %q is closed: nobody waits any more", sale) // its list may have left memory
		case now.State == driver.Waiting:
			w.settle(levelAt, driver.Settle{Seq: entry, List: e.List(), To: driver.Left, Why: driver.Left.String()})
		case now.State != driver.Left:
			return errs.New(errs.IllegalTransition, "the entry is %s", now.State)
		}
		after = *now
		return nil
	})
	return Entry{Waiter: after}, err
}

// Waiting returns a user's entry with its place. An entry of another user or sale, like one that never was, is errs.NotFound.
func (s *Stock) Waiting(ctx context.Context, sale, user string, entry uint64) (Entry, error) {
	e, err := s.entry(ctx, entry)
	if err != nil {
		return Entry{}, err
	}
	if e == nil || e.Key.Sale != sale || e.Key.User != user {
		return Entry{}, errs.New(errs.NotFound, "there is no entry %d", entry)
	}
	if e.State == driver.Offered {
		claim, err := s.Claim(ctx, e.Order)
		if err != nil {
			return Entry{}, err
		}
		if claim != nil && claim.State == driver.Released && claim.Why == WhyExpired {
			e.Expired, e.Why = true, WhyExpired
		}
	}
	return *e, nil
}

func (s *Stock) entry(ctx context.Context, seq uint64) (*Entry, error) {
	e, ahead, err := s.drv.Waiter(ctx, seq)
	if err != nil || e == nil {
		return nil, readable(err)
	}
	out := &Entry{Waiter: *e}
	if e.State == driver.Waiting {
		out.Position = ahead + 1
	}
	return out, nil
}

// WaitingRow is a line of the export "waiting": what happened to a waiting list, in the order in which it happened. Seq is in
// one order with the export "stock-ledger".
type WaitingRow struct {
	Seq      uint64    `json:"seq"`
	Kind     string    `json:"kind"` // wait, offer, quit
	Entry    string    `json:"entry"`
	User     string    `json:"user"`
	Sale     string    `json:"sale"`
	SKU      string    `json:"sku"`
	Quantity int64     `json:"quantity"`
	Order    string    `json:"order,omitempty"` // of an offer
	Why      string    `json:"why,omitempty"`   // of a quit
	At       time.Time `json:"at"`
}

func waitingLine(enc *json.Encoder, e *driver.Entry) error {
	row := WaitingRow{Seq: e.Seq, Kind: e.Kind.String(), At: e.At, Why: e.Why}
	switch e.Kind {
	case driver.Wait, driver.Quit:
		w := e.Waiter
		row.Entry, row.User = strconv.FormatUint(w.Seq, 10), w.Key.User
		row.Sale, row.SKU, row.Quantity = w.Key.Sale, w.SKU, w.Quantity
	case driver.Hold:
		a := e.Attempt
		entry, yes := EntryOf(a.Key.Key)
		if !yes {
			return nil
		}
		row.Kind, row.Entry, row.Order, row.User, row.Sale = "offer", entry, a.ID.String(), a.Key.User, a.Key.Sale
		row.SKU, row.Quantity = a.Lines[0].SKU, a.Lines[0].Quantity
	default:
		return nil
	}
	return enc.Encode(row)
}
