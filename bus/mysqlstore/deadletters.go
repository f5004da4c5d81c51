package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/engine/mysql"
	"penstock/errs"
)

// letters reads dead letters; conditions follow.
const letters = `SELECT ` + sqlrow.Letter + `, id FROM dead_letter WHERE `

// List pages through the letters.
func (s *Store) List(ctx context.Context, f driver.Filter, after int64, limit int) ([]driver.DeadLetter, error) {
	where, args := sqlrow.Where(f, `LOCATE(CAST(? AS BINARY), reason) > 0`)
	return s.letters(ctx, `id > ?`+where+` ORDER BY id LIMIT ?`, append(append([]any{after}, args...), limit)...)
}

func (s *Store) letters(ctx context.Context, where string, args ...any) ([]driver.DeadLetter, error) {
	return sqlrow.ReadLetters(s.db.QueryContext(ctx, letters+where, args...))
}

// Last returns the highest id.
func (s *Store) Last(ctx context.Context) (id int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(id), 0) FROM dead_letter`).Scan(&id)
	return id, err
}

// Get returns one letter, or nil.
func (s *Store) Get(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := sqlrow.ReadLetter(s.db.QueryRowContext(ctx, letters+`id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &l, err
}

// Replay parks the message of an open letter again.
func (s *Store) Replay(ctx context.Context, id int64, at time.Time) error {
	return s.end(ctx, id, verdict{driver.Replayed, "", at}, func(q *queues, l *driver.DeadLetter) error {
		return q.add(ctx, []driver.Parked{{Message: l.Message, Due: at, Replays: l.Replays + 1}})
	})
}

// Replace parks another message instead of that of an open letter.
func (s *Store) Replace(ctx context.Context, id int64, other driver.Message, note string, at time.Time) error {
	return s.end(ctx, id, verdict{driver.Replayed, note, at}, func(q *queues, _ *driver.DeadLetter) error {
		return q.add(ctx, []driver.Parked{{Message: other, Due: at}})
	})
}

// Discard gives an open letter up.
func (s *Store) Discard(ctx context.Context, id int64, reason string, at time.Time) error {
	return s.end(ctx, id, verdict{driver.Discarded, reason, at}, func(*queues, *driver.DeadLetter) error { return nil })
}

// verdict is how a letter ends.
type verdict struct {
	state, note string
	at          time.Time
}

// end settles an open letter and runs then in the same transaction. The queue is locked before the letter, as Settle does.
func (s *Store) end(ctx context.Context, id int64, v verdict, then func(*queues, *driver.DeadLetter) error) error {
	seen, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if seen == nil {
		return errs.New(errs.NotFound, "no dead letter %d", id)
	}
	err = s.change(ctx, seen.Group, []string{seen.Message.User}, func(q *queues) error {
		l, err := sqlrow.ReadLetter(q.tx.QueryRowContext(ctx, letters+`id = ? FOR UPDATE`, id))
		if err != nil {
			return err
		}
		if l.State != driver.Dead {
			return errs.New(errs.Conflict, "dead letter %d is %s already", id, l.State)
		}
		if _, err = q.tx.ExecContext(ctx, `UPDATE dead_letter SET state = ?, note = ?, settled_at = ? WHERE id = ?`,
			v.state, v.note, sqlrow.Nanos(v.at), id); err != nil {
			return err
		}
		return then(q, &l)
	})
	if errors.Is(err, mysql.ErrUnknown) {
		return errs.Wrap(errs.Unknown, err, "the answer to settling dead letter %d was lost: look at its state", id)
	}
	return err
}

var _ driver.Copies = (*Store)(nil)

// Untold implements [driver.Copies].
func (s *Store) Untold(ctx context.Context, limit int) ([]driver.DeadLetter, error) {
	return s.letters(ctx, `told = 0 ORDER BY id LIMIT ?`, limit)
}

// Told implements [driver.Copies].
func (s *Store) Told(ctx context.Context, ids []int64) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		for some := range slices.Chunk(ids, chunk) {
			if _, err := tx.ExecContext(ctx, `UPDATE dead_letter SET told = 1 WHERE id IN `+list(len(some)), args[int64](nil, some)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// CountUntold implements [driver.Copies].
func (s *Store) CountUntold(ctx context.Context) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM dead_letter WHERE told = 0`).Scan(&n)
	return n, err
}
