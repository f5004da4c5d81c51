package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

const letterColumns = messageColumns + `, id, reason, attempts, failed_at, replays, state, note`

func insertLetter(ctx context.Context, tx *sql.Tx, group string, l *driver.DeadLetter) error {
	m, err := messageValues(group, l.Message)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO dead_letter (consumer_group, message_id, topic, user, message_key, type, payload, headers, at,
			origin_partition, origin_offset, reason, attempts, failed_at, replays, state, note, settled_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'dead', '', 0)
		ON CONFLICT (consumer_group, topic, message_id, replays) DO NOTHING`,
		append(m, l.Reason, l.Attempts, nanos(l.FailedAt), l.Replays)...)
	return err
}

// List pages through the letters.
func (s *Store) List(ctx context.Context, f driver.Filter, after int64, limit int) ([]driver.DeadLetter, error) {
	where, args := conditions(f)
	return s.letters(ctx, `id > ?`+where+` ORDER BY id LIMIT ?`, append(append([]any{after}, args...), limit)...)
}

// conditions are those of a filter.
func conditions(f driver.Filter) (where string, args []any) {
	add := func(condition string, set bool, value any) {
		if set {
			where, args = where+` AND `+condition, append(args, value)
		}
	}
	add(`state = ?`, !f.All, driver.Dead)
	add(`consumer_group = ?`, f.Group != "", f.Group)
	add(`topic = ?`, f.Topic != "", f.Topic)
	add(`user = ?`, f.User != "", f.User)
	add(`message_key = ?`, f.Key != "", f.Key)
	add(`type = ?`, f.Type != "", f.Type)
	add(`instr(reason, ?) > 0`, f.Reason != "", f.Reason)
	add(`failed_at >= ?`, !f.From.IsZero(), nanos(f.From))
	add(`failed_at < ?`, !f.To.IsZero(), nanos(f.To))
	return where, args
}

func (s *Store) letters(ctx context.Context, where string, args ...any) ([]driver.DeadLetter, error) {
	rows, err := s.db.R.QueryContext(ctx, `SELECT `+letterColumns+` FROM dead_letter WHERE `+where, args...)
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

// Last returns the highest id.
func (s *Store) Last(ctx context.Context) (id int64, err error) {
	err = s.db.R.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM dead_letter`).Scan(&id)
	return id, err
}

// Get returns one letter, or nil.
func (s *Store) Get(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := scanLetter(s.db.R.QueryRowContext(ctx, `SELECT `+letterColumns+` FROM dead_letter WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return l, err
}

func scanLetter(row scanner) (*driver.DeadLetter, error) {
	l := &driver.DeadLetter{}
	var failedAt int64
	group, err := scanMessage(row, &l.Message, &l.ID, &l.Reason, &l.Attempts, &failedAt, &l.Replays, &l.State, &l.Note)
	if err != nil {
		return nil, err
	}
	l.Group, l.FailedAt = group, moment(failedAt)
	return l, nil
}

// Replay parks the message of an open letter again.
func (s *Store) Replay(ctx context.Context, id int64, at time.Time) error {
	return s.revive(ctx, id, verdict{driver.Replayed, "", at}, func(l *driver.DeadLetter) driver.Parked {
		return driver.Parked{Message: l.Message, Due: at, Replays: l.Replays + 1}
	})
}

// Replace parks another message instead of that of an open letter.
func (s *Store) Replace(ctx context.Context, id int64, other driver.Message, note string, at time.Time) error {
	return s.revive(ctx, id, verdict{driver.Replayed, note, at}, func(*driver.DeadLetter) driver.Parked {
		return driver.Parked{Message: other, Due: at}
	})
}

func (s *Store) revive(ctx context.Context, id int64, v verdict, parked func(*driver.DeadLetter) driver.Parked) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		l, err := settle(ctx, tx, id, v)
		if err != nil {
			return err
		}
		st, err := tx.PrepareContext(ctx, insertParked)
		if err != nil {
			return err
		}
		defer st.Close()
		return park(ctx, st, l.Group, parked(l))
	})
}

// Discard gives an open letter up.
func (s *Store) Discard(ctx context.Context, id int64, reason string, at time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := settle(ctx, tx, id, verdict{driver.Discarded, reason, at})
		return err
	})
}

// verdict is how a letter ends.
type verdict struct {
	state, note string
	at          time.Time
}

func settle(ctx context.Context, tx *sql.Tx, id int64, v verdict) (*driver.DeadLetter, error) {
	l, err := scanLetter(tx.QueryRowContext(ctx, `SELECT `+letterColumns+` FROM dead_letter WHERE id = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errs.New(errs.NotFound, "no dead letter %d", id)
	case err != nil:
		return nil, err
	case l.State != driver.Dead:
		return nil, errs.New(errs.Conflict, "dead letter %d is %s already", id, l.State)
	}
	_, err = tx.ExecContext(ctx, `UPDATE dead_letter SET state = ?, note = ?, settled_at = ? WHERE id = ?`,
		v.state, v.note, nanos(v.at), id)
	return l, err
}

var _ driver.Copies = (*Store)(nil)

// Untold implements [driver.Copies].
func (s *Store) Untold(ctx context.Context, limit int) ([]driver.DeadLetter, error) {
	return s.letters(ctx, `told = 0 ORDER BY id LIMIT ?`, limit)
}

// Told implements [driver.Copies].
func (s *Store) Told(ctx context.Context, ids []int64) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `UPDATE dead_letter SET told = 1 WHERE id = ?`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// CountUntold implements [driver.Copies].
func (s *Store) CountUntold(ctx context.Context) (n int64, err error) {
	err = s.db.R.QueryRowContext(ctx, `SELECT count(*) FROM dead_letter WHERE told = 0`).Scan(&n)
	return n, err
}
