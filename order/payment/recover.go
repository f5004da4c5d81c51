package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"penstock/engine/sqldb"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

const (
	// mostBooked is how many rows the recovery loop books at a time.
	mostBooked = 128
	// remember is how long the id of a callback is kept: well beyond the age at which a callback is refused as stale.
	remember = 24 * time.Hour
)

// Start runs the recovery loop until Stop, which takes up what a crash left between two steps. ctx bounds only the start.
func (p *Payments) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done != nil {
		return errors.New("payments were started before")
	}
	if err := p.takeOver(ctx); err != nil {
		return fmt.Errorf("start payments: %w", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop, p.done = cancel, make(chan struct{})
	go p.loop(run, p.done)
	return nil
}

// takeOver makes due at once what the process before this one had booked and not finished. Where others work too, a booking
// may be theirs, alive, and nobody can tell: it is due again when its time has passed.
func (p *Payments) takeOver(ctx context.Context) error {
	if p.db.Shared() {
		return nil
	}
	return p.db.Do(ctx, sqldb.NoLock, func(tx Tx) error {
		now := p.nowMS()
		if _, err := tx.Exec(`UPDATE payments SET next_at=? WHERE next_at>? AND state='captured'`, now, now); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE refunds SET next_at=? WHERE next_at>?`, now, now)
		return err
	})
}

// Stop ends the recovery loop, waits for what it is doing (a call to a provider is bounded by CallTimeout) and closes the
// database. It is idempotent.
func (p *Payments) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
		<-p.done
		p.stop = nil
	}
	return p.db.Close()
}

func (p *Payments) loop(ctx context.Context, done chan struct{}) {
	defer close(done)
	for {
		if err := p.sweep(ctx); err != nil && ctx.Err() == nil {
			p.o.Logger.Error("recovery of payments", "error", err)
		}
		t := p.o.Clock.NewTimer(p.o.ScanEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C():
		}
	}
}

// sweep handles everything that is due. What it handles is booked for a later look first, so that a row which cannot be
// finished neither spins nor is forgotten.
func (p *Payments) sweep(ctx context.Context) error {
	for ctx.Err() == nil {
		pays, refunds, err := p.book(ctx)
		if err != nil {
			return err
		}
		if len(pays)+len(refunds) == 0 {
			return p.forget(ctx)
		}
		var g errgroup.Group
		g.SetLimit(p.o.Workers)
		for _, r := range pays {
			g.Go(func() error { p.logged(r.ID, r.Order, p.resume(ctx, r)); return nil })
		}
		for _, r := range refunds {
			g.Go(func() error { p.logged(r.payment, r.order, p.resumeRefund(ctx, r.id)); return nil })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// logged says that a payment is left to a later look, once a second, with how many were left since it last spoke: a provider
// that is gone leaves every payment.
func (p *Payments) logged(id, order ident.ID, err error) {
	if err == nil {
		return
	}
	now := p.o.Clock.Now()
	p.left.Lock()
	defer p.left.Unlock()
	p.left.payments++
	if now.Sub(p.left.said) >= time.Second {
		p.o.Logger.Warn("payments are taken up again later", "payments", p.left.payments, "payment", id.String(), "orderId", order.String(), "error", err)
		p.left.payments, p.left.said = 0, now
	}
}

// book takes a page of what is due for this process by moving its next look ahead: whoever moves it has it until then. A row
// that another process moved first is left to it. Payments and refunds are booked in transactions of their own, so that one
// who waits for a row of one table never holds rows of the other.
func (p *Payments) book(ctx context.Context) (pays []row, refunds []refundRow, err error) {
	now := p.o.Clock.Now()
	if due, err := p.anyDue(ctx, now); err == nil && !due {
		return nil, nil, nil // a look that failed is made again by the transaction, which repairs the database
	}
	err = p.db.Do(ctx, sqldb.NoLock, func(tx Tx) (err error) {
		pays, err = p.bookPayments(tx, now)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	err = p.db.Do(ctx, sqldb.NoLock, func(tx Tx) (err error) {
		refunds, err = p.bookRefunds(tx, now)
		return err
	})
	return pays, refunds, err
}

// page is how much is booked at a time. Where others work too it is no more than is worked on at once, so that nothing waits
// here for longer than it is booked for.
func (p *Payments) page() int {
	if p.db.Shared() {
		return p.o.Workers
	}
	return mostBooked
}

// anyDue looks without writing: most looks find nothing.
func (p *Payments) anyDue(ctx context.Context, now time.Time) (due bool, err error) {
	err = p.db.Scan(ctx, `SELECT EXISTS (SELECT 1 FROM payments WHERE next_at<=?) OR EXISTS (SELECT 1 FROM refunds WHERE next_at<=?)`,
		[]any{now.UnixMilli(), now.UnixMilli()}, &due)
	return due, err
}

func (p *Payments) bookPayments(tx Tx, now time.Time) (mine []row, err error) {
	rows, err := tx.Query(`SELECT `+payColumns+` FROM payments WHERE next_at<=? ORDER BY next_at, id LIMIT ?`, now.UnixMilli(), p.page())
	due, err := collect(rows, err, scanRow)
	if err != nil {
		return nil, err
	}
	for _, r := range due {
		next := now.Add(p.pause(r.tries + 1))
		if r.State == Pending {
			next = p.beforeEnd(r, now, next)
		}
		n, err := tx.Exec(`UPDATE payments SET next_at=?, tries=tries+1 WHERE id=? AND next_at<=?`, next.UnixMilli(), int64(r.ID), now.UnixMilli())
		if err != nil {
			return nil, err
		}
		if n == 1 {
			mine = append(mine, r)
		}
	}
	return mine, nil
}

func (p *Payments) bookRefunds(tx Tx, now time.Time) (mine []refundRow, err error) {
	rows, err := tx.Query(`SELECT `+refundColumns+` FROM refunds WHERE next_at<=? ORDER BY next_at, id LIMIT ?`, now.UnixMilli(), p.page())
	due, err := collect(rows, err, scanRefund)
	if err != nil {
		return nil, err
	}
	for _, r := range due {
		next := now.Add(p.pause(r.tries + 1)).UnixMilli()
		n, err := tx.Exec(`UPDATE refunds SET next_at=?, tries=tries+1 WHERE id=? AND next_at<=?`, next, int64(r.id), now.UnixMilli())
		if err != nil {
			return nil, err
		}
		if n == 1 {
			mine = append(mine, r)
		}
	}
	return mine, nil
}

// resume takes up one unfinished payment.
func (p *Payments) resume(ctx context.Context, r row) error {
	if r.State == Captured {
		_, err := p.settle(ctx, r)
		return err
	}
	if r.State != Pending {
		return nil
	}
	if r.reserved() {
		return p.resumeReserved(ctx, r)
	}
	res, err := p.call(ctx, r.Provider, "query", func(ctx context.Context, prov Provider) (Result, error) { return prov.Query(ctx, r.ID) })
	if err != nil || res.Status == Waiting {
		return errors.Join(err, p.silence(ctx, r, err))
	}
	if res.Status != Absent {
		_, err = p.learn(ctx, r.Provider, Event{Payment: r.ID, Result: res})
		return err
	}
	return p.absent(ctx, r)
}

// absent handles a payment its provider has never heard of. Within the window the charge is made again, by the same id. After
// it the payment fails, but only once the claim is no longer held: a charge that was on its way all the time and is captured
// after that is late money and goes back. A provider that can rule that out is asked to.
func (p *Payments) absent(ctx context.Context, r row) error {
	if !p.o.Clock.Now().After(r.payBefore) {
		_, err := p.charge(ctx, r)
		return err
	}
	claim, err := p.deps.Stock.Claim(ctx, r.Order)
	if err != nil {
		return fmt.Errorf("read the claim of order %s: %w", r.Order, err)
	}
	if claim != nil && claim.State == driver.Held {
		return nil
	}
	res := Result{Status: Declined, Why: "the provider never heard of it"}
	if v, ok := p.deps.Providers[r.Provider].(Voider); ok {
		res, err = p.call(ctx, r.Provider, "void", func(ctx context.Context, _ Provider) (Result, error) { return v.Void(ctx, r.ID) })
		if err != nil {
			return err
		}
	}
	_, err = p.learn(ctx, r.Provider, Event{Payment: r.ID, Result: res})
	return err
}

// forget drops the ids of callbacks that are too old to come again.
func (p *Payments) forget(ctx context.Context) error {
	cutoff := p.o.Clock.Now().Add(-remember).UnixMilli()
	var first, at int64
	err := p.db.Scan(ctx, `SELECT seq, at FROM callbacks ORDER BY seq LIMIT 1`, nil, &first, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || at >= cutoff {
		return err
	}
	return p.db.Do(ctx, sqldb.NoLock, func(tx Tx) error {
		_, err := tx.Exec(`DELETE FROM callbacks WHERE seq<? AND at<?`, first+1000, cutoff)
		return err
	})
}
