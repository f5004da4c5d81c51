// Package outbox is a local message table: a room writes a message in the transaction that makes it true, and the bus carries it
// from there. Either both are durable or neither is.
//
// What it promises. A message whose transaction committed is read by [Source] for ever after, until every group has got it; one
// whose transaction rolled back never is. Messages are numbered in an order that agrees with every order that the writers
// themselves had: if one transaction began to publish after another had committed, its messages have higher numbers. So the
// messages of one user are in order if the room holds a lock for that user while it publishes, as a slot of
// [sqldb.Store] is. DESIGN.md says why this holds on MySQL, where ids are given before the commit.
//
// What it does not promise. A message may be delivered more than once; nothing here compares ids. Transactions that ran at the
// same time have no order among them.
//
// There is one table for all rooms of a database, with the topic as a column. Publish is used inside the caller's transaction;
// a Source is safe for concurrent use, by several processes where the database is shared.
package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"penstock/bus/driver"
)

// Bounds of a message, so that every engine can carry it and every store can keep it. All lengths are in bytes.
const (
	maxName    = 255 // id, user, key and type
	maxTopic   = 128
	maxHeaders = 32
	maxHeader  = 4 << 10
	// MaxPayload is the largest payload that can be published.
	MaxPayload = 512 << 10
)

// Tx is what Publish needs of the caller's transaction: sqldb.Tx and *groupcommit.Tx have it, SQL makes it of a *sql.Tx.
type Tx interface {
	Exec(query string, args ...any) (int64, error)
}

// SQL makes a Tx of a transaction of database/sql. ctx is that of its statements.
func SQL(ctx context.Context, tx *sql.Tx) Tx { return plain{ctx, tx} }

type plain struct {
	ctx context.Context
	tx  *sql.Tx
}

// Exec implements [Tx].
func (p plain) Exec(query string, args ...any) (int64, error) {
	res, err := p.tx.ExecContext(p.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

const (
	insert = `INSERT INTO message_outbox (topic, message_id, user, message_key, type, payload, headers, at) VALUES `
	row    = `(?, ?, ?, ?, ?, ?, ?, ?)`
	// A statement inserts at most so many messages, and no further one after so many bytes of payload: a server takes no more.
	mostRows  = 64
	mostBytes = 1 << 20
)

// Publish writes messages into the caller's transaction, in their order. Each needs a Topic, an ID, a Type and a time; Partition
// and Offset are given later. Derive the ID from the effect that the message tells of: consumers know a message by it, also when
// the caller does the whole transaction again. An error means that the caller must roll back.
func Publish(tx Tx, msgs ...driver.Message) error {
	var args []any
	rows, size := 0, 0
	for i := range msgs {
		m := &msgs[i]
		if err := Check(m); err != nil {
			return fmt.Errorf("publish message %q: %w", m.ID, err)
		}
		headers, err := json.Marshal(versioned(m))
		if err != nil {
			return fmt.Errorf("publish message %q: headers: %w", m.ID, err)
		}
		payload := m.Payload
		if payload == nil {
			payload = []byte{}
		}
		args = append(args, m.Topic, m.ID, m.User, m.Key, m.Type, payload, string(headers), m.At.UnixNano())
		rows, size = rows+1, size+len(payload)
		if i < len(msgs)-1 && rows < mostRows && size < mostBytes {
			continue
		}
		if _, err := tx.Exec(insert+row+strings.Repeat(", "+row, rows-1), args...); err != nil {
			return fmt.Errorf("publish %d messages up to %q: %w", rows, m.ID, err)
		}
		args, rows, size = args[:0], 0, 0
	}
	return nil
}

// versioned returns the headers with the version of the payload's schema, which a payload may also say in "v": every engine then
// carries the same.
func versioned(m *driver.Message) map[string]string {
	if m.Headers[version] != "" {
		return m.Headers
	}
	headers := maps.Clone(m.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	var said struct {
		V uint32 `json:"v"`
	}
	if json.Unmarshal(m.Payload, &said) != nil || said.V == 0 {
		said.V = 1
	}
	headers[version] = strconv.FormatUint(uint64(said.V), 10)
	return headers
}

const version = "version"

// Check refuses, while the caller can still do something about it, what some engine could not carry. Publish does so too; who puts
// messages of several callers into one transaction asks before, so that one of them does not fail the others.
func Check(m *driver.Message) error {
	for _, f := range []struct {
		name, value string
		most        int
		must        bool
	}{
		{"ID", m.ID, maxName, true}, {"Topic", m.Topic, maxTopic, true}, {"Type", m.Type, maxName, true},
		{"User", m.User, maxName, false}, {"Key", m.Key, maxName, false},
	} {
		switch {
		case f.must && f.value == "":
			return fmt.Errorf("%s is missing", f.name)
		case len(f.value) > f.most:
			return fmt.Errorf("%s has %d bytes, over %d", f.name, len(f.value), f.most)
		case !utf8.ValidString(f.value):
			return fmt.Errorf("%s is no UTF-8", f.name)
		}
	}
	switch {
	case m.At.IsZero():
		return fmt.Errorf("its time (At) is missing")
	case len(m.Payload) > MaxPayload:
		return fmt.Errorf("its payload has %d bytes, over %d", len(m.Payload), MaxPayload)
	case len(m.Headers) > maxHeaders:
		return fmt.Errorf("it has %d headers, over %d", len(m.Headers), maxHeaders)
	}
	for k, v := range m.Headers {
		if len(k) > maxName || len(v) > maxHeader || !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("header %.40q is too long or no UTF-8", k)
		}
	}
	return nil
}
