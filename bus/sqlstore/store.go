package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/sqlite"
)

// Store implements [driver.Store] in a file opened with [Open].
type Store struct{ db *sqlite.DB }

// New returns the store of a file. The file stays the caller's to close.
func New(db *sqlite.DB) *Store { return &Store{db: db} }

var _ driver.Store = (*Store)(nil)

const insertParked = `
INSERT INTO parked (` + sqlrow.Parked + `, head)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
	NOT EXISTS (SELECT 1 FROM parked WHERE consumer_group = ?1 AND user = ?4)
WHERE NOT EXISTS (
	SELECT 1 FROM dead_letter WHERE consumer_group = ?1 AND topic = ?3 AND message_id = ?2 AND replays >= ?15)
ON CONFLICT (consumer_group, topic, message_id) DO NOTHING`

// Park appends the messages in one transaction.
func (s *Store) Park(ctx context.Context, group string, msgs []driver.Parked) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		st, err := tx.PrepareContext(ctx, insertParked)
		if err != nil {
			return err
		}
		defer st.Close()
		for _, p := range msgs {
			if err := park(ctx, st, group, p); err != nil {
				return fmt.Errorf("park message %s: %w", p.Message.ID, err)
			}
		}
		return nil
	})
}

func park(ctx context.Context, st *sql.Stmt, group string, p driver.Parked) error {
	values, err := sqlrow.OfParked(group, p)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(ctx, values...)
	return err
}

// Parked returns the due heads.
func (s *Store) Parked(ctx context.Context, group string, now time.Time, limit int) ([]driver.Parked, error) {
	return sqlrow.ReadParked(s.db.R.QueryContext(ctx, `SELECT `+sqlrow.Parked+`, seq FROM parked
		WHERE consumer_group = ? AND head = 1 AND due <= ? ORDER BY due, seq LIMIT ?`, group, sqlrow.Nanos(now), limit))
}

// Users returns the users with parked messages, in byte order.
func (s *Store) Users(ctx context.Context, group string) ([]string, error) {
	return sqlrow.ReadColumn[string](s.db.R.QueryContext(ctx, `SELECT user FROM parked WHERE consumer_group = ? AND head = 1 ORDER BY user`, group))
}

// Settle removes what is handled or dead, makes the next message of its user the head, and writes the dead letters.
func (s *Store) Settle(ctx context.Context, group string, outcomes []driver.Outcome) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, o := range outcomes {
			if err := settleOne(ctx, tx, group, o); err != nil {
				return fmt.Errorf("settle message %s: %w", o.Parked.Message.ID, err)
			}
		}
		return nil
	})
}

func settleOne(ctx context.Context, tx *sql.Tx, group string, o driver.Outcome) error {
	p := o.Parked
	if o.Again {
		_, err := tx.ExecContext(ctx, `UPDATE parked SET tries = ?, error = ?, due = ? WHERE seq = ? AND consumer_group = ?`,
			p.Tries, p.Error, sqlrow.Nanos(p.Due), p.Seq, group)
		return err
	}
	if p.Seq != 0 {
		gone, err := unpark(ctx, tx, group, p)
		if err != nil || gone {
			return err
		}
	}
	if o.Dead == nil {
		return nil
	}
	return insertLetter(ctx, tx, group, o.Dead)
}

func unpark(ctx context.Context, tx *sql.Tx, group string, p driver.Parked) (gone bool, err error) {
	res, err := tx.ExecContext(ctx, `DELETE FROM parked WHERE seq = ? AND consumer_group = ?`, p.Seq, group)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return true, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE parked SET head = 1
		WHERE seq = (SELECT min(seq) FROM parked WHERE consumer_group = ?1 AND user = ?2)`, group, p.Message.User)
	return false, err
}

// Count counts what is parked and what is dead and unsettled.
func (s *Store) Count(ctx context.Context, group string) (parked, dead int64, err error) {
	err = s.db.R.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM parked WHERE consumer_group = ?1),
		(SELECT count(*) FROM dead_letter WHERE consumer_group = ?1 AND state = 'dead')`, group).Scan(&parked, &dead)
	return parked, dead, err
}
