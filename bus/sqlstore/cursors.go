package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/sqlite"
	"penstock/internal/clock"
)

// Cursors implements [driver.Cursors] in a file opened with [Open].
type Cursors struct {
	db    *sqlite.DB
	clock clock.Clock
}

var _ driver.Cursors = (*Cursors)(nil)

// NewCursors returns the cursors of a file, whose leases are measured by clock; nil means the machine's. The file stays the
// caller's to close.
func NewCursors(db *sqlite.DB, c clock.Clock) *Cursors {
	if c == nil {
		c = clock.Real{}
	}
	return &Cursors{db, c}
}

// Void ends every lease at once. Only a caller that knows that no other process uses the file may do it, before it opens
// readers: it need not wait for leases that dead processes left behind.
func (c *Cursors) Void(ctx context.Context) error {
	var held int
	if err := c.db.R.QueryRowContext(ctx, `SELECT count(*) FROM cursor WHERE owner <> ''`).Scan(&held); err != nil || held == 0 {
		return err
	}
	_, err := c.db.W.ExecContext(ctx, `UPDATE cursor SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE owner <> ''`)
	return err
}

// Enrol makes missing cursors; it writes only if there are any.
func (c *Cursors) Enrol(ctx context.Context, group, topic string, sources []string) error {
	missing := 0
	for _, s := range sources {
		var n int
		err := c.db.R.QueryRowContext(ctx, `SELECT count(*) FROM cursor WHERE consumer_group = ? AND topic = ? AND source = ?`,
			group, topic, s).Scan(&n)
		if err != nil {
			return err
		}
		missing += 1 - n
	}
	if missing == 0 {
		return nil
	}
	return c.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, s := range sources {
			if _, err := tx.ExecContext(ctx, `INSERT INTO cursor (consumer_group, topic, source, position, owner, lease_until, epoch)
				VALUES (?, ?, ?, 0, '', 0, 0) ON CONFLICT DO NOTHING`, group, topic, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// Free reads the free sources.
func (c *Cursors) Free(ctx context.Context, m driver.Member) ([]string, error) {
	return sqlrow.ReadColumn[string](c.db.R.QueryContext(ctx, `SELECT source FROM cursor
		WHERE consumer_group = ? AND topic = ? AND (owner = ? OR lease_until <= ?)`, m.Group, m.Topic, m.Owner, c.clock.Now().UnixNano()))
}

// Take acquires what is free in one transaction.
func (c *Cursors) Take(ctx context.Context, m driver.Member, sources []string, term time.Duration) (map[string]driver.Lease, error) {
	taken := map[string]driver.Lease{}
	now := c.clock.Now()
	err := c.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, s := range sources {
			var got driver.Lease
			var position int64
			err := tx.QueryRowContext(ctx, `UPDATE cursor SET owner = ?1, lease_until = ?2, epoch = epoch + 1
				WHERE consumer_group = ?3 AND topic = ?4 AND source = ?5 AND (owner = ?1 OR lease_until <= ?6)
				RETURNING epoch, position`,
				m.Owner, now.Add(term).UnixNano(), m.Group, m.Topic, s, now.UnixNano()).Scan(&got.Epoch, &position)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			got.Position = uint64(position)
			taken[s] = got
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// Write moves cursors in one transaction.
func (c *Cursors) Write(ctx context.Context, m driver.Member, marks []driver.Mark, term time.Duration) (lost []string, err error) {
	owner, until := "", int64(0)
	if term > 0 {
		owner, until = m.Owner, c.clock.Now().Add(term).UnixNano()
	}
	err = c.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, k := range marks {
			res, err := tx.ExecContext(ctx, `UPDATE cursor SET position = ?, lease_until = ?, owner = ?
				WHERE consumer_group = ? AND topic = ? AND source = ? AND owner = ? AND epoch = ?`,
				int64(k.Position), until, owner, m.Group, m.Topic, k.Source, m.Owner, k.Epoch)
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
	return lost, err
}

// Position reads one cursor.
func (c *Cursors) Position(ctx context.Context, group, topic, source string) (uint64, error) {
	var position int64
	err := c.db.R.QueryRowContext(ctx, `SELECT position FROM cursor WHERE consumer_group = ? AND topic = ? AND source = ?`,
		group, topic, source).Scan(&position)
	return uint64(position), err
}

// Low reads the lowest position in a source.
func (c *Cursors) Low(ctx context.Context, source string) (uint64, error) {
	var low int64
	err := c.db.R.QueryRowContext(ctx, `SELECT coalesce(min(position), 0) FROM cursor WHERE source = ?`, source).Scan(&low)
	return uint64(low), err
}

// Forget deletes the cursors of a group.
func (c *Cursors) Forget(ctx context.Context, group string) error {
	_, err := c.db.W.ExecContext(ctx, `DELETE FROM cursor WHERE consumer_group = ?`, group)
	return err
}
