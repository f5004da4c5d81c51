package mysqlstock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// errNodeLost says that our number in ids has run out and another process may have taken it.
var errNodeLost = errors.New("the lease of this process's number in ids has ended")

// node is the number of this process in ids, leased in table node.
type node struct {
	n     int
	epoch int64
	after ident.ID // the highest id there was when the number was taken
}

// Node returns the number of this process in ids, and the highest id there was when it was taken. It changes only between
// decisions: after a process was paused past its lease. Every decision asserts in its transaction that the number is still
// ours, so that whoever takes it next waits for that transaction.
func (d *DB) Node() (n int, after ident.ID) {
	own := d.node.Load()
	return own.n, own.after
}

// takeNode takes the number that has been free the longest. It belongs to whoever holds the lock write, or to Open.
func (d *DB) takeNode(ctx context.Context) error {
	for range ident.MaxNode + 1 {
		var n int
		err := d.db.QueryRowContext(ctx, "SELECT n FROM node WHERE expires < "+nowMicros+" ORDER BY expires, n LIMIT 1").Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: all %d numbers of processes are in use (table node): at most so many run on one stock database; "+
				"a number of one that died is free %v later", driver.ErrUnavailable, ident.MaxNode+1, d.opt.Lease)
		}
		if err != nil {
			return err
		}
		res, err := d.db.ExecContext(ctx, "UPDATE node SET owner = ?, epoch = epoch + 1, in_flight = 0, expires = "+nowMicros+" + ? WHERE n = ? AND expires < "+nowMicros,
			d.owner, d.opt.Lease.Microseconds(), n)
		if err != nil {
			return err
		}
		if got, err := res.RowsAffected(); err != nil {
			return err
		} else if got == 1 {
			return d.tookNode(ctx, n)
		}
	}
	return fmt.Errorf("%w: other processes took every free number in table node first; start again", driver.ErrUnavailable)
}

// tookNode reads the highest id after the number is ours: nobody makes another one under it.
func (d *DB) tookNode(ctx context.Context, n int) error {
	own := &node{n: n}
	var last int64
	err := d.db.QueryRowContext(ctx, "SELECT epoch, (SELECT COALESCE(MAX(id), 0) FROM attempt) FROM node WHERE n = ? AND owner = ?", n, d.owner).
		Scan(&own.epoch, &last)
	if err != nil {
		return fmt.Errorf("read the number that was taken: %w", err)
	}
	own.after = ident.ID(last)
	d.node.Store(own)
	d.opt.Logger.Info("took a number in ids", "node", n, "epoch", own.epoch)
	return nil
}

// beat renews the lease and publishes how many calls are in flight until ctx ends.
func (d *DB) beat(ctx context.Context) {
	defer close(d.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.timer.NewTimer(d.opt.Beat).C():
		}
		bounded, cancel := context.WithTimeout(ctx, d.opt.Lease)
		if err := d.renew(bounded); err != nil && ctx.Err() == nil {
			d.opt.Logger.Warn("the lease of the number in ids was not renewed", "error", err.Error())
		}
		cancel()
	}
}

// renew keeps the lease if nobody has taken the number since, though it may have run out. A lost one is replaced by the next
// decision.
func (d *DB) renew(ctx context.Context) error {
	own := d.node.Load()
	res, err := d.db.ExecContext(ctx, "UPDATE node SET expires = "+nowMicros+" + ?, in_flight = ? WHERE n = ? AND owner = ? AND epoch = ?",
		d.opt.Lease.Microseconds(), d.opt.Busy(), own.n, d.owner, own.epoch)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = errNodeLost
	}
	return err
}

func (d *DB) giveNode(ctx context.Context) error {
	own := d.node.Load()
	_, err := d.db.ExecContext(ctx, "UPDATE node SET expires = 0, in_flight = 0 WHERE n = ? AND owner = ? AND epoch = ?", own.n, d.owner, own.epoch)
	return err
}

// silentBeats is after how many beats a process that gave no sign is taken to be busy: its own decision may keep its row locked.
const silentBeats = 3

// Others returns how many calls the other processes on this database have in flight and how many they are. Each number is as
// old as a process's last beat; one that has missed several counts for at least one call, and so does one that died, until its
// lease ends. All processes have the same Lease and Beat.
func (d *DB) Others(ctx context.Context) (inFlight int64, instances int, err error) {
	done, err := d.reading(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer done()
	err = d.db.QueryRowContext(ctx, "SELECT COALESCE(SUM(GREATEST(in_flight, expires < "+nowMicros+" + ?)), 0), COUNT(*) FROM node WHERE expires >= "+
		nowMicros+" AND owner <> ?", (d.opt.Lease-silentBeats*d.opt.Beat).Microseconds(), d.owner).Scan(&inFlight, &instances)
	return inFlight, instances, readError("read the other processes", err)
}

// A Lease is a role that one process has at a time, such as the timers'. Its time is the database's.
type Lease struct {
	d    *DB
	name string
}

// Lease returns the lease of a role. It touches nothing.
func (d *DB) Lease(name string) *Lease { return &Lease{d, name} }

// Take takes the lease for ttl if it is free or ours. The epoch it returns is higher than that of every holder before: what
// the holder does under the lease must be refused by whoever has seen a higher one. Taking again what is ours and has not run
// out renews it under the same epoch.
func (l *Lease) Take(ctx context.Context, ttl time.Duration) (epoch int64, ok bool, err error) {
	if ok, err = l.Renew(ctx, ttl); err != nil {
		return 0, false, err
	}
	if !ok {
		if ok, err = l.seize(ctx, ttl); !ok || err != nil {
			return 0, false, err
		}
	}
	err = l.d.db.QueryRowContext(ctx, "SELECT epoch FROM lease WHERE name = ? AND owner = ?", l.name, l.d.owner).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil // run out and taken since
	}
	return epoch, err == nil, l.error(err)
}

func (l *Lease) seize(ctx context.Context, ttl time.Duration) (bool, error) {
	_, err := l.d.db.ExecContext(ctx, "INSERT INTO lease (name, owner, epoch, expires) VALUES (?, '', 0, 0) ON DUPLICATE KEY UPDATE name = lease.name", l.name)
	if err != nil {
		return false, l.error(err)
	}
	return l.update(ctx, "owner = ?, epoch = epoch + 1, expires = "+nowMicros+" + ? WHERE expires < "+nowMicros+" AND name = ?",
		l.d.owner, ttl.Microseconds(), l.name)
}

// Renew keeps a lease that is ours and has not run out; false means that it is not.
func (l *Lease) Renew(ctx context.Context, ttl time.Duration) (bool, error) {
	return l.update(ctx, "expires = "+nowMicros+" + ? WHERE expires >= "+nowMicros+" AND name = ? AND owner = ?",
		ttl.Microseconds(), l.name, l.d.owner)
}

// Release gives the lease back if it is ours.
func (l *Lease) Release(ctx context.Context) error {
	_, err := l.update(ctx, "expires = 0 WHERE name = ? AND owner = ?", l.name, l.d.owner)
	return err
}

func (l *Lease) update(ctx context.Context, set string, args ...any) (bool, error) {
	res, err := l.d.db.ExecContext(ctx, "UPDATE lease SET "+set, args...)
	if err != nil {
		return false, l.error(err)
	}
	n, err := res.RowsAffected()
	return n == 1, l.error(err)
}

func (l *Lease) error(err error) error { return readError("lease "+l.name, err) }
