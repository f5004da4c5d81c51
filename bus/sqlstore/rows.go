package sqlstore

import (
	"encoding/json"
	"fmt"
	"time"

	"penstock/bus/driver"
)

// messageColumns are the columns of a message, as scanMessage reads them.
const messageColumns = `consumer_group, message_id, topic, user, message_key, type, payload, headers, at, origin_partition, origin_offset`

type scanner interface{ Scan(dest ...any) error }

// messageValues returns the values of messageColumns.
func messageValues(group string, m driver.Message) ([]any, error) {
	headers, err := json.Marshal(m.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	return []any{
		group, m.ID, m.Topic, m.User, m.Key, m.Type, m.Payload, string(headers), nanos(m.At), m.Partition, int64(m.Offset),
	}, nil
}

// scanMessage reads messageColumns and then rest; it returns the group.
func scanMessage(row scanner, m *driver.Message, rest ...any) (group string, err error) {
	var headers string
	var at, offset int64
	dest := append([]any{
		&group, &m.ID, &m.Topic, &m.User, &m.Key, &m.Type, &m.Payload, &headers, &at, &m.Partition, &offset,
	}, rest...)
	if err := row.Scan(dest...); err != nil {
		return "", err
	}
	m.At, m.Offset = moment(at), uint64(offset)
	if err := json.Unmarshal([]byte(headers), &m.Headers); err != nil {
		return "", fmt.Errorf("headers of message %s: %w", m.ID, err)
	}
	return group, nil
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
