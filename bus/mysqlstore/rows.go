package mysqlstore

import (
	"encoding/json"
	"fmt"
	"time"

	"penstock/bus/driver"
)

// messageColumns are the columns of a message, as scanMessage reads them.
const messageColumns = `consumer_group, message_id, topic, user, message_key, type, payload, headers, at, origin_partition, origin_offset`

// parkedColumns and letterColumns are what is written of a parked message and of a letter.
const (
	parkedColumns = messageColumns + `, tries, error, due, replays`
	letterColumns = messageColumns + `, reason, attempts, failed_at, replays, state, note`
)

type scanner interface{ Scan(dest ...any) error }

// messageValues returns the values of messageColumns.
func messageValues(group string, m driver.Message) ([]any, error) {
	headers, err := json.Marshal(m.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers of message %s: %w", m.ID, err)
	}
	return []any{
		group, m.ID, m.Topic, m.User, m.Key, m.Type, m.Payload, headers, nanos(m.At), m.Partition, m.Offset,
	}, nil
}

// scanMessage reads messageColumns and then rest; it returns the group.
func scanMessage(row scanner, m *driver.Message, rest ...any) (group string, err error) {
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

func scanLetter(row scanner) (*driver.DeadLetter, error) {
	l := &driver.DeadLetter{}
	var failedAt int64
	group, err := scanMessage(row, &l.Message, &l.Reason, &l.Attempts, &failedAt, &l.Replays, &l.State, &l.Note, &l.ID)
	if err != nil {
		return nil, err
	}
	l.Group, l.FailedAt = group, moment(failedAt)
	return l, nil
}

func nanos(t time.Time) int64 {
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
