package stock

import (
	"context"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// move is a Sell or a Release in a batch.
type move struct {
	id         ident.ID
	from, to   driver.ClaimState
	why, trace string

	claimAt          int
	levelAt, takenAt []int
	result           MoveResult
}

// Sell moves a held claim to sold. A claim whose ReleaseAt has come is released as expired instead, and a claim that is
// already released stays so: both return Moved false. Selling a sold claim again is Moved true. An unknown id is
// errs.NotFound.
func (s *Stock) Sell(ctx context.Context, id ident.ID, why, trace string) (MoveResult, error) {
	return s.move(ctx, &move{id: id, from: driver.Held, to: driver.Sold, why: why, trace: trace})
}

// Release moves a claim from the given state (Held: expired or cancelled; Sold: refunded with return of stock) to released
// and gives its units and the user's allowance back. A claim that was released for the same reason is Moved true; one that is
// in any other state is left alone, Moved false.
func (s *Stock) Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (MoveResult, error) {
	if from != driver.Held && from != driver.Sold {
		return MoveResult{}, errs.New(errs.Internal, "a claim is released from held or sold, not from %s", from)
	}
	return s.move(ctx, &move{id: id, from: from, to: driver.Released, why: why, trace: trace})
}

func (s *Stock) move(ctx context.Context, m *move) (MoveResult, error) {
	// What a claim is about never changes, so it may be read ahead to know which rows to lock.
	claim, err := s.drv.Claim(ctx, m.id)
	if err != nil {
		return MoveResult{}, readable(err)
	}
	if claim == nil {
		return MoveResult{}, errs.New(errs.NotFound, "there is no claim %s", m.id)
	}
	if err = s.do(ctx, func(w *work) { m.need(w, claim) }, m.decide); err != nil {
		return MoveResult{}, err
	}
	return m.result, nil
}

func (m *move) need(w *work, claim *driver.Attempt) {
	m.claimAt = w.needClaim(m.id)
	w.needSale(claim.Key.Sale)
	m.levelAt, m.takenAt = m.levelAt[:0], m.takenAt[:0]
	for _, l := range claim.Lines {
		m.levelAt = append(m.levelAt, w.needLevel(driver.StockRef{Sale: claim.Key.Sale, SKU: l.SKU}))
		m.takenAt = append(m.takenAt, w.needTaken(driver.TakenRef{Sale: claim.Key.Sale, SKU: l.SKU, User: claim.Key.User}))
	}
}

func (m *move) decide(w *work) error {
	c := w.claims[m.claimAt]
	if c == nil {
		return errs.New(errs.NotFound, "there is no claim %s", m.id)
	}
	to, why := m.to, m.why
	if c.State == m.from && to == driver.Sold && !w.now.Before(c.ReleaseAt) {
		to, why = driver.Released, WhyExpired
	}
	if c.State == m.from {
		m.apply(w, c, to, why)
	}
	done := c.State == m.to && (m.to == driver.Sold || c.Why == m.why)
	m.result = MoveResult{Claim: copyOf(c), Moved: done}
	return nil
}

// Reasons of a release that the order follows.
const (
	WhyExpired   = "expired"
	WhyCancelled = "cancelled"
	WhyRefunded  = "refunded"
)

func (m *move) apply(w *work, c *driver.Attempt, to driver.ClaimState, why string) {
	w.changes.Moves = append(w.changes.Moves, driver.Move{ID: c.ID, From: c.State, To: to, Why: why, Trace: m.trace})
	for i, line := range c.Lines {
		l := w.touch(m.levelAt[i])
		if c.State == driver.Held {
			l.Held -= line.Quantity
		} else {
			l.Sold -= line.Quantity
		}
		if to == driver.Sold {
			l.Sold += line.Quantity
		} else {
			l.Available += line.Quantity
			w.taken[m.takenAt[i]] -= line.Quantity
		}
	}
	c.State = to
	if to == driver.Released {
		c.Why = why
	}
}
