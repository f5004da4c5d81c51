package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"penstock/bus/driver"
	"penstock/engine/mysql"
	"penstock/errs"
)

// List pages through the letters.
func (s *Store) List(ctx context.Context, after int64, limit int, all bool) ([]driver.DeadLetter, error) {
	open := ` AND state = '` + driver.Dead + `'`
	if all {
		open = ""
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+letterColumns+`, id FROM dead_letter WHERE id > ?`+open+` ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []driver.DeadLetter
	for rows.Next() {
		l, err := scanLetter(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, *l)
	}
	return out, rows.Err()
}

const oneLetter = `SELECT ` + letterColumns + `, id FROM dead_letter WHERE id = ?`

// Get returns one letter, or nil.
func (s *Store) Get(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := scanLetter(s.db.QueryRowContext(ctx, oneLetter, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return l, err
}

// Replay parks the message of an open letter again.
func (s *Store) Replay(ctx context.Context, id int64, at time.Time) error {
	return s.end(ctx, id, verdict{driver.Replayed, "", at}, func(q *queues, l *driver.DeadLetter) error {
		return q.add(ctx, []driver.Parked{{Message: l.Message, Due: at, Replays: l.Replays + 1}})
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
		l, err := scanLetter(q.tx.QueryRowContext(ctx, oneLetter+" FOR UPDATE", id))
		if err != nil {
			return err
		}
		if l.State != driver.Dead {
			return errs.New(errs.Conflict, "dead letter %d is %s already", id, l.State)
		}
		if _, err = q.tx.ExecContext(ctx, `UPDATE dead_letter SET state = ?, note = ?, settled_at = ? WHERE id = ?`,
			v.state, v.note, nanos(v.at), id); err != nil {
			return err
		}
		return then(q, l)
	})
	if errors.Is(err, mysql.ErrUnknown) {
		return errs.Wrap(errs.Unknown, err, "the answer to settling dead letter %d was lost: look at its state", id)
	}
	return err
}
