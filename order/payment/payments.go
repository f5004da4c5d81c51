package payment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment/groupcommit"
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
	db   *groupcommit.DB
	ids  *ident.Generator
	// told serialises what one order is told about its refunds; an order's lock is chosen by its id.
	told [64]sync.Mutex

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// New opens or creates the database at path. Nothing happens in the background before Start.
func New(ctx context.Context, path string, deps Deps, o Options) (*Payments, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if deps.Orders == nil || deps.Stock == nil {
		return nil, errors.New("payment.Deps: Orders and Stock are required")
	}
	o = o.withDefaults()
	db, err := groupcommit.Open(ctx, path, migrations, groupcommit.Options{SQLite: o.SQLite, Logger: o.Logger, Fault: o.Fault})
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	var last int64
	err = db.R().QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(id) FROM payments), 0), coalesce((SELECT max(id) FROM refunds), 0))`).Scan(&last)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("payments: read the last id: %w", err), db.Close())
	}
	return &Payments{deps: deps, o: o, db: db, ids: ident.NewGenerator(o.Node, ident.ID(last))}, nil
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
// its way back. Mismatches are finished: they wait for an operator.
func (p *Payments) InFlight(ctx context.Context) (int64, error) {
	var n int64
	err := p.db.R().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM payments WHERE next_at IS NOT NULL) +
		(SELECT count(*) FROM refunds WHERE next_at IS NOT NULL)`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count unfinished payments: %w", err)
	}
	return n, nil
}

func (p *Payments) query(ctx context.Context, q string, args ...any) ([]row, error) {
	rows, err := p.db.R().QueryContext(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, fmt.Errorf("read payments: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
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
