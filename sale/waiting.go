package sale

import (
	"context"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// WaitState is where an entry of a waiting list stands, for its user.
//
//	waiting ─► offered ─► expired (the order was not paid in time)
//	   │ │ └─► left (by its user)
//	   │ └───► skipped (the user's limit was used up when the turn came)
//	   └─────► expired (the sale ended)
//
// What became of an order that was offered, other than that it expired, is told by the order.
type WaitState string

// Entry states.
const (
	Waiting     WaitState = "waiting"
	Offered     WaitState = "offered"
	WaitExpired WaitState = "expired"
	Left        WaitState = "left"
	Skipped     WaitState = "skipped"
)

// Entry is an entry of a waiting list with its state. Why says the reason for an end: "sale-closed", "expired" (the order was
// not paid), "limit-reached", "left".
type Entry struct {
	stock.Entry
	State WaitState
}

// Join puts a user on a waiting list; see stock.Stock.Join. An unknown sale is errs.NotFound.
func (s *Sales) Join(ctx context.Context, r stock.JoinRequest) (Entry, error) {
	if s.gate.Sale(r.Sale) == nil {
		return Entry{}, notFound(r.Sale)
	}
	e, err := s.stock.Join(ctx, r)
	if err != nil {
		return Entry{}, err
	}
	if e.State != driver.Waiting { // a replay: what became of it is told as it is asked for
		return s.replayed(ctx, r, e)
	}
	return s.entry(e), nil
}

func (s *Sales) replayed(ctx context.Context, r stock.JoinRequest, made stock.Entry) (Entry, error) {
	e, err := s.stock.Waiting(ctx, r.Sale, r.User, made.Seq)
	if err != nil {
		return Entry{}, errs.Wrap(errs.Unknown, err, "the entry could not be read; ask again with the same key")
	}
	e.Replayed = made.Replayed
	return s.entry(e), nil
}

// Waiting returns a user's entry; errs.NotFound for any other.
func (s *Sales) Waiting(ctx context.Context, saleID, user string, entry uint64) (Entry, error) {
	e, err := s.stock.Waiting(ctx, saleID, user, entry)
	return s.entry(e), err
}

// Leave takes a user's entry off its list; see stock.Stock.Leave.
func (s *Sales) Leave(ctx context.Context, saleID, user string, entry uint64) (Entry, error) {
	e, err := s.stock.Leave(ctx, saleID, user, entry)
	return s.entry(e), err
}

// entry adds what only the sale knows: that nothing can come any more.
func (s *Sales) entry(e stock.Entry) Entry {
	out := Entry{Entry: e}
	switch e.Waiter.State {
	case driver.Waiting:
		out.State = Waiting
		if doc := s.gate.Sale(e.Key.Sale); doc != nil && stateAt(doc, s.opt.Clock.Now()) == Closed {
			out.State, out.Why, out.Position = WaitExpired, string(errs.SaleClosed), 0
		}
	case driver.Offered:
		out.State = Offered
		if e.Expired {
			out.State = WaitExpired
		}
	case driver.Left:
		out.State = Left
	case driver.Skipped:
		out.State = Skipped
	}
	return out
}
