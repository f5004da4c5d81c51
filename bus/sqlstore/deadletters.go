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
func (s *Store) List(ctx context.Context, after int64, limit int, all bool) ([]driver.DeadLetter, error) {
	rows, err := s.db.R.QueryContext(ctx, `SELECT `+letterColumns+` FROM dead_letter
		WHERE id > ? AND (? OR state = 'dead') ORDER BY id LIMIT ?`, after, all, limit)
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
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		l, err := settle(ctx, tx, id, verdict{driver.Replayed, "", at})
		if err != nil {
			return err
		}
		st, err := tx.PrepareContext(ctx, insertParked)
		if err != nil {
			return err
		}
		defer st.Close()
		return park(ctx, st, l.Group, driver.Parked{Message: l.Message, Due: at, Replays: l.Replays + 1})
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
