package order

import (
	"context"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Get returns the order with its events. A user of "" is an operator, who sees every order; another user's order is
// errs.NotFound like one that does not exist. An order whose row is not written yet is read from its claim: accepted, with
// Shard and Table -1. If that claim has moved on already, the order is written first, so that nobody is told accepted of an
// order that was paid or has expired.
func (o *Orders) Get(ctx context.Context, user string, id ident.ID) (Order, error) {
	if id <= 0 {
		return Order{}, notFound(id)
	}
	ord, err := o.stored(ctx, id)
	if err != nil {
		db, _ := o.route(id)
		return Order{}, o.gone(db, err)
	}
	if ord != nil && user != "" && ord.User != user {
		ord = nil // and ask on, as for one that is not there: an answer that came sooner would tell that it is
	}
	if ord == nil {
		claim, err := o.claims.Claim(ctx, id)
		if err != nil {
			return Order{}, err
		}
		if claim == nil || !own(claim) || user != "" && claim.Key.User != user {
			return Order{}, notFound(id)
		}
		return o.fromClaim(ctx, claim)
	}
	return *ord, nil
}

// fromClaim is the order of a claim that has no row yet.
func (o *Orders) fromClaim(ctx context.Context, a *driver.Attempt) (Order, error) {
	if a.State != driver.Held {
		return o.Follow(ctx, a)
	}
	return Order{
		ID: a.ID, User: a.Key.User, Sale: a.Key.Sale, Key: a.Key.Key, Lines: a.Lines, State: Accepted, Amount: a.Amount,
		Currency: a.Currency, CreatedAt: a.At.UTC(), PayBefore: a.PayBefore.UTC(), Version: 1, Trace: a.Trace,
		Events: []Event{{N: 1, At: a.At.UTC(), To: Accepted}}, Shard: -1, Table: -1,
	}, nil
}

// stored reads a row and its events as of one moment; nil means that there is none.
func (o *Orders) stored(ctx context.Context, id ident.ID) (*Order, error) {
	db, table := o.route(id)
	return o.store.Database(db).Get(ctx, table, id)
}
