// Package sqlrow is what the SQL stores of the bus have in common: how a parked message and a dead letter stand in a row, and
// what a filter of letters says in SQL. Their queues and cursors differ by engine and are theirs.
//
// Times are Unix nanoseconds, 0 for none; headers are a JSON object; "?" stands for a value. It keeps nothing.
package sqlrow

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"penstock/bus/driver"
)

const message = `consumer_group, message_id, topic, user, message_key, type, payload, headers, at, origin_partition, origin_offset`

// Columns of a parked message, in the order of [OfParked], and of a letter, in that of [OfLetter]. To read, seq and id follow.
const (
	Parked = message + `, tries, error, due, replays`
	Letter = message + `, reason, attempts, failed_at, replays, state, note`
)

// OfParked returns the values of [Parked]; it fails only on headers that JSON cannot hold.
func OfParked(group string, p driver.Parked) ([]any, error) {
	m, err := ofMessage(group, p.Message)
	return append(m, p.Tries, p.Error, Nanos(p.Due), p.Replays), err
}

// OfDead returns the values of [Letter] for a message that has just died: nobody has settled it.
func OfDead(group string, l *driver.DeadLetter) ([]any, error) {
	dead := *l
	dead.State, dead.Note = driver.Dead, ""
	return OfLetter(group, &dead)
}

// OfLetter returns the values of [Letter]; it fails only on headers that JSON cannot hold.
func OfLetter(group string, l *driver.DeadLetter) ([]any, error) {
	m, err := ofMessage(group, l.Message)
	return append(m, l.Reason, l.Attempts, Nanos(l.FailedAt), l.Replays, l.State, l.Note), err
}

func ofMessage(group string, m driver.Message) ([]any, error) {
	headers, err := json.Marshal(m.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers of message %s: %w", m.ID, err)
	}
	return []any{
		group, m.ID, m.Topic, m.User, m.Key, m.Type, m.Payload, string(headers), Nanos(m.At), m.Partition, m.Offset,
	}, nil
}

// ReadParked reads rows of [Parked] and seq, and closes them. It takes what a query returns, also its error.
func ReadParked(rows *sql.Rows, err error) ([]driver.Parked, error) {
	return all(rows, err, func() (p driver.Parked, err error) {
		var due int64
		_, err = scan(rows, &p.Message, &p.Tries, &p.Error, &due, &p.Replays, &p.Seq)
		p.Due = moment(due)
		return p, err
	})
}

// ReadLetters reads rows of [Letter] and id, and closes them. It takes what a query returns, also its error.
func ReadLetters(rows *sql.Rows, err error) ([]driver.DeadLetter, error) {
	return all(rows, err, func() (driver.DeadLetter, error) { return ReadLetter(rows) })
}

// Row is one row of a result: a [sql.Row], or [sql.Rows] at a row.
type Row interface{ Scan(dest ...any) error }

// ReadLetter reads a row of [Letter] and id; the error is [sql.ErrNoRows] when there is none.
func ReadLetter(row Row) (l driver.DeadLetter, err error) {
	var failedAt int64
	l.Group, err = scan(row, &l.Message, &l.Reason, &l.Attempts, &failedAt, &l.Replays, &l.State, &l.Note, &l.ID)
	l.FailedAt = moment(failedAt)
	return l, err
}

// scan reads the columns of a message and then rest; it returns the group.
func scan(row Row, m *driver.Message, rest ...any) (group string, err error) {
	var headers []byte
	var at int64
	dest := append([]any{
		&group, &m.ID, &m.Topic, &m.User, &m.Key, &m.Type, &m.Payload, &headers, &at, &m.Partition, &m.Offset,
	}, rest...)
	if err := row.Scan(dest...); err != nil {
		return "", err
	}
	m.At = moment(at)
	if err := json.Unmarshal(headers, &m.Headers); err != nil {
		return "", fmt.Errorf("headers of message %s: %w", m.ID, err)
	}
	return group, nil
}

// ReadColumn reads a result of one column and closes it. It takes what a query returns, also its error.
func ReadColumn[T any](rows *sql.Rows, err error) ([]T, error) {
	return all(rows, err, func() (v T, err error) { return v, rows.Scan(&v) })
}

func all[T any](rows *sql.Rows, err error, next func() (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := next()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Where returns the conditions of a filter, each with " AND " before it, and their values. reasonHas is the engine's condition
// that the column reason contains a value, compared as bytes.
func Where(f driver.Filter, reasonHas string) (where string, args []any) {
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
	add(reasonHas, f.Reason != "", f.Reason)
	add(`failed_at >= ?`, !f.From.IsZero(), Nanos(f.From))
	add(`failed_at < ?`, !f.To.IsZero(), Nanos(f.To))
	return where, args
}

// Nanos is a time as it stands in a row.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
