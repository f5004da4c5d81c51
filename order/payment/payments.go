package payment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"penstock/engine/groupcommit"
	"penstock/errs"
	"penstock/internal/ident"
)

// Deps is what Payments works with. Providers are named as in the method of a [Begin] and in the path of a callback.
type Deps struct {
	Orders    Orders
	Stock     Claims
	Providers map[string]Provider
}

// Payments takes payments and gives refunds. See the package comment for its promises.
type Payments struct {
	deps Deps
	o    Options
	db   Store
	ids  *idSource

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
	left struct { // payments that were left to a later look, and when that was last said
		sync.Mutex // its own: Stop holds the other one while it waits for the loop
		payments   int
		said       time.Time
	}
}

// New works on the SQLite file at path, which it opens or creates: [OpenSQLite] and [Over] in one.
func New(ctx context.Context, path string, deps Deps, o Options) (*Payments, error) {
	if err := check(deps, o); err != nil {
		return nil, err
	}
	db, err := OpenSQLite(ctx, path, groupcommit.Options{SQLite: o.SQLite, Logger: o.Logger, Fault: o.Fault})
	if err != nil {
		return nil, err
	}
	p, err := Over(ctx, db, deps, o)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return p, nil
}

// Over works on a store, which Stop closes. Nothing happens in the background before Start. Processes that share a store must
// have different node numbers.
func Over(ctx context.Context, db Store, deps Deps, o Options) (*Payments, error) {
	if err := check(deps, o); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	last, err := highest(ctx, db)
	if err != nil {
		return nil, err
	}
	return &Payments{deps: deps, o: o, db: db, ids: newIDs(o.NodeNow, last)}, nil
}

func check(deps Deps, o Options) error {
	if deps.Orders == nil || deps.Stock == nil {
		return errors.New("payment.Deps: Orders and Stock are required")
	}
	return o.Validate()
}

// ByOrder returns the payments of an order, oldest first. It does not check whose they are.
func (p *Payments) ByOrder(ctx context.Context, id ident.ID) ([]Payment, error) {
	rows, err := p.query(ctx, `SELECT `+payColumns+` FROM payments WHERE ord=? ORDER BY id`, int64(id))
	if err != nil {
		return nil, err
	}
	all := make([]Payment, len(rows))
	for i, r := range rows {
		all[i] = r.Payment
	}
	return all, nil
}

// InFlight counts the payments and refunds that are not finished: money that is asked for, taken and not yet settled, or on
// its way back. Mismatches are finished, and so is what its provider has left open until a case was made of it: they wait for
// an operator. A reservation is counted with the transaction that has it.
func (p *Payments) InFlight(ctx context.Context) (int64, error) {
	var n int64
	err := p.db.Scan(ctx, `SELECT
		(SELECT count(*) FROM payments WHERE next_at IS NOT NULL AND NOT (state='pending' AND ref<>'') AND NOT EXISTS
			(SELECT 1 FROM cases WHERE cases.payment=payments.id AND kind='`+CaseSilent+`')) +
		(SELECT count(*) FROM refunds WHERE next_at IS NOT NULL AND NOT EXISTS
			(SELECT 1 FROM cases WHERE cases.payment=refunds.payment AND kind='`+CaseRefundWaiting+`'))`, nil, &n)
	if err != nil {
		return 0, fmt.Errorf("count unfinished payments: %w", err)
	}
	return n, nil
}

func (p *Payments) query(ctx context.Context, q string, args ...any) ([]row, error) {
	rows, err := p.db.Query(ctx, q, args...)
	all, err := collect(rows, err, scanRow)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	return all, nil
}

func (p *Payments) nowMS() int64 { return p.o.Clock.Now().UnixMilli() }

// pause is how long to wait before try n+1.
func (p *Payments) pause(n int) time.Duration {
	return min(p.o.QueryAfter<<min(n, 20), p.o.MaxBackoff)
}

// call times a call to a provider and bounds it. It goes on when the client behind ctx hangs up.
func (p *Payments) call(ctx context.Context, provider, op string, f func(context.Context, Provider) (Result, error)) (Result, error) {
	prov, ok := p.deps.Providers[provider]
	if !ok {
		return Result{}, errs.New(errs.NotFound, "there is no payment provider %q", provider)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.CallTimeout)
	defer cancel()
	start := p.o.Clock.Now()
	res, err := f(ctx, prov)
	p.o.Called(provider, op, p.o.Clock.Now().Sub(start), err)
	if err != nil {
		return Result{}, fmt.Errorf("%s %s: %w", provider, op, err)
	}
	return res, nil
}
