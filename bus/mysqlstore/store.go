package mysqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/mysql"
)

// Store implements [driver.Store] in a database that [Migrate] has prepared.
type Store struct{ db *mysql.DB }

// New returns the store of a database, which stays the caller's to close.
func New(db *mysql.DB) *Store { return &Store{db} }

var _ driver.Store = (*Store)(nil)

// Park appends the messages in one transaction.
func (s *Store) Park(ctx context.Context, group string, msgs []driver.Parked) error {
	if len(msgs) == 0 {
		return nil
	}
	users := make([]string, len(msgs))
	for i, p := range msgs {
		users[i] = p.Message.User
	}
	return s.change(ctx, group, users, func(q *queues) error { return q.add(ctx, msgs) })
}

// change runs f in a transaction that has locked the queues of users.
func (s *Store) change(ctx context.Context, group string, users []string, f func(*queues) error) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		q, err := lock(ctx, tx, group, users)
		if err != nil {
			return err
		}
		if err := f(q); err != nil {
			return err
		}
		return q.close(ctx)
	})
}

// Parked returns the due heads.
func (s *Store) Parked(ctx context.Context, group string, now time.Time, limit int) ([]driver.Parked, error) {
	return sqlrow.ReadParked(s.db.QueryContext(ctx, `SELECT `+sqlrow.Parked+`, seq FROM parked JOIN
			(SELECT head AS seq FROM parked_user WHERE consumer_group = ? AND due <= ? ORDER BY due, head LIMIT ?) heads USING (seq)
		ORDER BY due, seq`, group, sqlrow.Nanos(now), limit))
}

// Users returns the users with parked messages, in byte order.
func (s *Store) Users(ctx context.Context, group string) ([]string, error) {
	return sqlrow.ReadColumn[string](s.db.QueryContext(ctx, `SELECT user FROM parked_user WHERE consumer_group = ? ORDER BY user`, group))
}

// Settle removes what is handled or dead, makes the next message of each user the head, and writes the dead letters.
func (s *Store) Settle(ctx context.Context, group string, outcomes []driver.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	users := make([]string, len(outcomes))
	for i, o := range outcomes {
		users[i] = o.Parked.Message.User
	}
	return s.change(ctx, group, users, func(q *queues) error {
		if err := q.remove(ctx, handled(outcomes)); err != nil {
			return err
		}
		for _, o := range outcomes {
			if !o.Again && o.Dead == nil {
				continue
			}
			if err := q.settle(ctx, o); err != nil {
				return fmt.Errorf("settle message %s: %w", o.Parked.Message.ID, err)
			}
		}
		return nil
	})
}

// handled returns the places of the messages that are simply done, which are most.
func handled(outcomes []driver.Outcome) (seqs []int64) {
	for _, o := range outcomes {
		if !o.Again && o.Dead == nil && o.Parked.Seq != 0 {
			seqs = append(seqs, o.Parked.Seq)
		}
	}
	return seqs
}

// remove takes messages out of their queues; what is not there is passed over.
func (q *queues) remove(ctx context.Context, seqs []int64) error {
	for some := range slices.Chunk(seqs, chunk) {
		if _, err := q.tx.ExecContext(ctx, `DELETE FROM parked WHERE consumer_group = ? AND seq IN `+list(len(some)),
			args([]any{q.group}, some)...); err != nil {
			return err
		}
	}
	return nil
}

// settle keeps a message for another try, or buries it.
func (q *queues) settle(ctx context.Context, o driver.Outcome) error {
	p := o.Parked
	if o.Again {
		_, err := q.tx.ExecContext(ctx, `UPDATE parked SET tries = ?, error = ?, due = ? WHERE seq = ? AND consumer_group = ?`,
			p.Tries, p.Error, sqlrow.Nanos(p.Due), p.Seq, q.group)
		return err
	}
	if p.Seq != 0 {
		res, err := q.tx.ExecContext(ctx, `DELETE FROM parked WHERE seq = ? AND consumer_group = ?`, p.Seq, q.group)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
	return q.bury(ctx, o.Dead)
}

// bury writes a letter, once for each count of replays.
func (q *queues) bury(ctx context.Context, l *driver.DeadLetter) error {
	values, err := sqlrow.OfDead(q.group, l)
	if err != nil {
		return err
	}
	values = append(values, 0)
	_, err = q.tx.ExecContext(ctx, `INSERT INTO dead_letter (`+sqlrow.Letter+`, settled_at) VALUES `+list(len(values))+
		` ON DUPLICATE KEY UPDATE attempts = attempts`, values...)
	return err
}

// Count counts what is parked and what is dead and unsettled.
func (s *Store) Count(ctx context.Context, group string) (parked, dead int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM parked WHERE consumer_group = ?),
		(SELECT COUNT(*) FROM dead_letter WHERE consumer_group = ? AND state = ?)`, group, group, driver.Dead).Scan(&parked, &dead)
	return parked, dead, err
}
