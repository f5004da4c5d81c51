package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"penstock/bus/driver"
	"penstock/bus/sqlrow"
	"penstock/errs"
)

// letters reads dead letters; conditions follow.
const letters = `SELECT ` + sqlrow.Letter + `, id FROM dead_letter WHERE `

func insertLetter(ctx context.Context, tx *sql.Tx, group string, l *driver.DeadLetter) error {
	values, err := sqlrow.OfDead(group, l)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO dead_letter (`+sqlrow.Letter+`, settled_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
		ON CONFLICT (consumer_group, topic, message_id, replays) DO NOTHING`, values...)
	return err
}

// List pages through the letters.
func (s *Store) List(ctx context.Context, f driver.Filter, after int64, limit int) ([]driver.DeadLetter, error) {
	where, args := sqlrow.Where(f, `instr(reason, ?) > 0`)
	return s.letters(ctx, `id > ?`+where+` ORDER BY id LIMIT ?`, append(append([]any{after}, args...), limit)...)
}

func (s *Store) letters(ctx context.Context, where string, args ...any) ([]driver.DeadLetter, error) {
	return sqlrow.ReadLetters(s.db.R.QueryContext(ctx, letters+where, args...))
}

// Last returns the highest id.
func (s *Store) Last(ctx context.Context) (id int64, err error) {
	err = s.db.R.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM dead_letter`).Scan(&id)
	return id, err
}

// Get returns one letter, or nil.
func (s *Store) Get(ctx context.Context, id int64) (*driver.DeadLetter, error) {
	l, err := sqlrow.ReadLetter(s.db.R.QueryRowContext(ctx, letters+`id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &l, err
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
	l, err := sqlrow.ReadLetter(tx.QueryRowContext(ctx, letters+`id = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errs.New(errs.NotFound, "no dead letter %d", id)
	case err != nil:
		return nil, err
	case l.State != driver.Dead:
		return nil, errs.New(errs.Conflict, "dead letter %d is %s already", id, l.State)
	}
	_, err = tx.ExecContext(ctx, `UPDATE dead_letter SET state = ?, note = ?, settled_at = ? WHERE id = ?`,
		v.state, v.note, sqlrow.Nanos(v.at), id)
	return &l, err
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
