package sqlitestock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"penstock/stock/driver"
)

// Decide runs one decision. Everything it reads comes from memory and from committed rows: there is no other writer.
func (d *Driver) Decide(ctx context.Context, reads *driver.Reads, decide func(*driver.State) *driver.Changes) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed {
		return fmt.Errorf("%w: closed", driver.ErrUnavailable)
	}
	if d.broken {
		if err := d.recover(ctx); err != nil {
			return fmt.Errorf("%w: reopen after a failed write: %w", driver.ErrUnavailable, err)
		}
	}
	now := d.opt.Clock.Now().UTC().Truncate(time.Microsecond)
	if err := d.read(ctx, reads, now); err != nil {
		return fmt.Errorf("%w: read the state: %w", driver.ErrUnavailable, err)
	}
	changes := decide(&d.state)
	if changes == nil {
		return nil
	}
	p, err := d.plan(ctx, changes, now)
	if err != nil {
		return err
	}
	if err := d.execute(ctx, p); err != nil {
		return err
	}
	d.mu.Lock()
	p.apply(d.mem)
	d.mu.Unlock()
	return nil
}

// read fills d.state, index by index.
func (d *Driver) read(ctx context.Context, r *driver.Reads, now time.Time) error {
	st, m := &d.state, d.mem // the writer may read memory without the lock: only it writes
	st.Now = now
	st.Known, st.Used, st.Stock, st.Taken = st.Known[:0], st.Used[:0], st.Stock[:0], st.Taken[:0]
	st.Claims, st.Sales, st.Acts = st.Claims[:0], st.Sales[:0], st.Acts[:0]
	for _, k := range r.Keys {
		a, err := d.attempt(ctx, d.own, k)
		if err != nil {
			return err
		}
		st.Known = append(st.Known, a)
	}
	for _, p := range r.Passes {
		st.Used = append(st.Used, m.passUsed(p))
	}
	for _, ref := range r.Stock {
		st.Stock = append(st.Stock, m.levels[ref])
	}
	for _, ref := range r.Taken {
		st.Taken = append(st.Taken, m.taken(ref))
	}
	for _, id := range r.Claims {
		a, err := d.find(ctx, d.own, id)
		if err != nil {
			return err
		}
		st.Claims = append(st.Claims, a)
	}
	for _, id := range r.Sales {
		var doc *driver.Sale
		if s := m.sales[id]; s != nil {
			doc = &s.doc
		}
		st.Sales = append(st.Sales, doc)
	}
	for _, id := range r.Acts {
		var done bool
		if err := d.own.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM audit WHERE id = ? AND id <> '')", id).Scan(&done); err != nil {
			return err
		}
		st.Acts = append(st.Acts, done)
	}
	return d.readWaiting(ctx, r)
}

// execute writes a plan in one transaction. After any error the file is reopened before the next decision.
func (d *Driver) execute(ctx context.Context, p *plan) error {
	ctx = context.WithoutCancel(ctx) // half a transaction helps nobody
	err := d.writeRows(ctx, p)
	if err != nil {
		if _, rollback := d.conn.Exec(ctx, "ROLLBACK", nil); rollback != nil || !isGuard(err) {
			d.breakdown(true)
			return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
		}
		return fmt.Errorf("the stock database refuses the batch: %w", err)
	}
	if err = d.opt.Fault.Hit(FaultCommit); err == nil {
		if _, err = d.conn.Exec(ctx, "COMMIT", nil); err == nil {
			err = d.opt.Fault.Hit(FaultCommitted)
		}
	}
	if err != nil {
		d.breakdown(true)
		return fmt.Errorf("%w: %w", driver.ErrUnknown, err)
	}
	return nil
}

var errGuard = errors.New("guard failed")
