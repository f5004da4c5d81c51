package mysqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/mysql"
	"penstock/internal/clock"
)

// Cursors implements [driver.Cursors] in a database that [Migrate] has prepared.
type Cursors struct {
	db    *mysql.DB
	clock clock.Clock
}

var _ driver.Cursors = (*Cursors)(nil)

// NewCursors returns the cursors of a database, which stays the caller's to close. Leases are measured by the server's clock,
// the one that all processes share; a test may give another.
func NewCursors(db *mysql.DB, c clock.Clock) *Cursors { return &Cursors{db, c} }

// now returns the present in microseconds as an expression.
func (c *Cursors) now() string {
	if c.clock == nil {
		return mysql.NowMicros
	}
	return strconv.FormatInt(c.clock.Now().UnixMicro(), 10)
}

// Enrol makes missing cursors; it writes only if there are any.
func (c *Cursors) Enrol(ctx context.Context, group, topic string, sources []string) error {
	known, err := sqlrow.ReadColumn[string](c.db.QueryContext(ctx, "SELECT source FROM `cursor` WHERE consumer_group = ? AND topic = ?", group, topic))
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(sources), func(s string) bool { return slices.Contains(known, s) })
	slices.Sort(missing)
	if len(missing) == 0 {
		return nil
	}
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		for _, s := range missing {
			if _, err := tx.ExecContext(ctx, "INSERT INTO `cursor` (consumer_group, topic, source, position, owner, lease_until, epoch) "+
				"VALUES (?, ?, ?, 0, '', 0, 0) ON DUPLICATE KEY UPDATE epoch = epoch", group, topic, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// Free reads the free sources.
func (c *Cursors) Free(ctx context.Context, m driver.Member) ([]string, error) {
	return sqlrow.ReadColumn[string](c.db.QueryContext(ctx, "SELECT source FROM `cursor` "+
		"WHERE consumer_group = ? AND topic = ? AND (owner = ? OR lease_until <= "+c.now()+") ORDER BY source", m.Group, m.Topic, m.Owner))
}

// Take acquires what is free in one transaction.
func (c *Cursors) Take(ctx context.Context, m driver.Member, sources []string, term time.Duration) (map[string]driver.Lease, error) {
	var taken map[string]driver.Lease
	err := inTx(ctx, c.db, func(tx *sql.Tx) error {
		taken = map[string]driver.Lease{}
		for _, s := range slices.Sorted(slices.Values(sources)) { // everyone locks in this order
			got, err := c.take(ctx, tx, m, s, term)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			taken[s] = got
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// take acquires one source, or returns sql.ErrNoRows. The clock is read once the row is locked: the wait for it may be long.
func (c *Cursors) take(ctx context.Context, tx *sql.Tx, m driver.Member, source string, term time.Duration) (l driver.Lease, err error) {
	const one = " WHERE consumer_group = ? AND topic = ? AND source = ?"
	if err := tx.QueryRowContext(ctx, "SELECT epoch, position FROM `cursor`"+one+" FOR UPDATE", m.Group, m.Topic, source).
		Scan(&l.Epoch, &l.Position); err != nil {
		return l, err
	}
	l.Epoch++
	now := c.now()
	res, err := tx.ExecContext(ctx, "UPDATE `cursor` SET owner = ?, lease_until = "+now+" + ?, epoch = ?"+one+
		" AND (owner = ? OR lease_until <= "+now+")",
		m.Owner, term.Microseconds(), l.Epoch, m.Group, m.Topic, source, m.Owner)
	if err != nil {
		return l, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return l, cmp.Or(err, sql.ErrNoRows)
	}
	return l, nil
}

// Write moves cursors in one transaction. It is never a statement that commits by itself: the server could still run that one
// after the caller has given it up, and move the cursor back.
func (c *Cursors) Write(ctx context.Context, m driver.Member, marks []driver.Mark, term time.Duration) (lost []string, err error) {
	owner, until := "", "0"
	if term > 0 {
		owner, until = m.Owner, c.now()+" + "+strconv.FormatInt(term.Microseconds(), 10)
	}
	sorted := slices.SortedFunc(slices.Values(marks), func(a, b driver.Mark) int { return cmp.Compare(a.Source, b.Source) })
	err = inTx(ctx, c.db, func(tx *sql.Tx) error {
		lost = nil
		for _, k := range sorted {
			res, err := tx.ExecContext(ctx, "UPDATE `cursor` SET position = ?, lease_until = "+until+", owner = ? "+
				"WHERE consumer_group = ? AND topic = ? AND source = ? AND owner = ? AND epoch = ?",
				k.Position, owner, m.Group, m.Topic, k.Source, m.Owner, k.Epoch)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, k.Source)
			}
		}
		if len(lost) > 0 {
			return fmt.Errorf("%w: %s of group %s on %s", driver.ErrLeaseLost, lost[0], m.Group, m.Topic)
		}
		return nil
	})
	if !errors.Is(err, driver.ErrLeaseLost) {
		lost = nil
	}
	return lost, err
}

// Position reads one cursor.
func (c *Cursors) Position(ctx context.Context, group, topic, source string) (position uint64, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT position FROM `cursor` WHERE consumer_group = ? AND topic = ? AND source = ?",
		group, topic, source).Scan(&position)
	return position, err
}

// Low reads the lowest position in a source.
func (c *Cursors) Low(ctx context.Context, source string) (low uint64, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT COALESCE(MIN(position), 0) FROM `cursor` WHERE source = ?", source).Scan(&low)
	return low, err
}

// Forget deletes the cursors of a group.
func (c *Cursors) Forget(ctx context.Context, group string) error {
	return inTx(ctx, c.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM `cursor` WHERE consumer_group = ?", group)
		return err
	})
}
