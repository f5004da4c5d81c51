package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/bus/driver"
	"penstock/engine/sqldb"
	"penstock/internal/clock"
	"penstock/internal/ident"
)

// DB is what a Source needs of the database that holds the table; a sqldb.Store is one.
type DB interface {
	Do(ctx context.Context, slot int, f func(sqldb.Tx) error) error
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Scan(ctx context.Context, query string, args []any, dest ...any) error
	Shared() bool
}

// Options tunes a Source. The zero value is good.
type Options struct {
	Clock clock.Clock
	// Keep is how long a message that every group has got stays in the table, from its own time on; 0 means 1 hour, less than 0
	// not at all. A group that is new begins with the earliest message that is still there.
	Keep time.Duration
}

// Source reads the messages of one topic out of the table of one database. It has the shape that bus/outboxbus and
// bus/kafkabus want. Where several processes publish, their drivers must look by themselves (outboxbus.Options.Poll,
// kafkabus.Options.Quiet).
type Source struct {
	db          DB
	name, topic string
	opt         Options
	changed     chan struct{}
}

// New returns the source of a topic. database names the database among all that have messages of this topic, for good: cursors
// are kept under "<database>/<topic>".
func New(ctx context.Context, db DB, database, topic string, o Options) (*Source, error) {
	if database == "" || topic == "" || len(topic) > maxTopic {
		return nil, fmt.Errorf("outbox: a source needs the name of a database and a topic of at most %d bytes (got %q, %q)", maxTopic, database, topic)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Keep == 0 {
		o.Keep = time.Hour
	}
	s := &Source{db: db, name: database + "/" + topic, topic: topic, opt: o, changed: make(chan struct{}, 1)}
	err := db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		_, err := tx.Insert(`INSERT INTO message_outbox_head (topic, last, sent) VALUES (?, 0, 0)`, topic)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("outbox of %s: %w", s.name, err)
	}
	return s, nil
}

// Name is "<database>/<topic>".
func (s *Source) Name() string { return s.name }

// Topic is the topic of its messages.
func (s *Source) Topic() string { return s.topic }

// Wake says that this process has committed messages, so that they are carried at once instead of at the next look. It never
// blocks, and nothing is lost if it is not called.
func (s *Source) Wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Changed gets a value after Wake.
func (s *Source) Changed() <-chan struct{} { return s.changed }

// Read returns messages with a number above after, in order of number, and the number up to which it has looked.
func (s *Source) Read(ctx context.Context, after uint64, limit int) ([]driver.Message, uint64, error) {
	if err := s.number(ctx); err != nil {
		return nil, after, fmt.Errorf("number the messages of %s: %w", s.name, err)
	}
	rows, err := s.db.Query(ctx, `SELECT seq, message_id, user, message_key, type, payload, headers, at FROM message_outbox
		WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?`, s.topic, after, limit)
	if err != nil {
		return nil, after, err
	}
	defer rows.Close()
	var msgs []driver.Message
	for rows.Next() {
		m := driver.Message{Topic: s.topic}
		var headers []byte
		var at int64
		if err := rows.Scan(&m.Offset, &m.ID, &m.User, &m.Key, &m.Type, &m.Payload, &headers, &at); err != nil {
			return nil, after, err
		}
		if err := json.Unmarshal(headers, &m.Headers); err != nil {
			m.Headers = map[string]string{driver.HeaderMalformed: "its headers in the message table are no JSON object of strings"}
		} else {
			delete(m.Headers, driver.HeaderMalformed) // this is for us to say
		}
		m.At, m.Partition = time.Unix(0, at).UTC(), ident.SlotOf(m.User)%Partitions
		msgs = append(msgs, m)
	}
	if err := rows.Err(); err != nil {
		return nil, after, err
	}
	if n := len(msgs); n > 0 {
		after = msgs[n-1].Offset
	}
	return msgs, after, nil
}

// Partitions is the number of partitions of a topic; a user's messages are all in one.
const Partitions = 12

// Head returns the number of the last message committed by now. Rows without a number are given theirs first: counted, they could
// be passed by a row that commits later, with a lower id.
func (s *Source) Head(ctx context.Context) (head uint64, err error) {
	query := `SELECT COALESCE(MAX(seq), 0) FROM message_outbox WHERE topic = ?`
	if s.db.Shared() {
		if err := s.number(ctx); err != nil {
			return 0, fmt.Errorf("number the messages of %s: %w", s.name, err)
		}
		query = `SELECT last FROM message_outbox_head WHERE topic = ?`
	}
	err = s.db.Scan(ctx, query, []any{s.topic}, &head)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("outbox of %s: its row of message_outbox_head is gone", s.name)
	}
	return head, err
}

// Numbers is what a topic of the table has in it.
type Numbers struct {
	Source string
	// Waiting is how many messages some group has not got yet, and Oldest the time of the earliest of them, zero if there is none.
	Waiting int64
	Oldest  time.Time
	// Kept is how many more are there that every group has got.
	Kept int64
}

// Lag counts the messages that some group has not got yet and returns the time of the earliest of them, zero if there is none. It
// costs what they are, not what the table keeps.
func (s *Source) Lag(ctx context.Context) (waiting int64, oldest time.Time, err error) {
	var sent uint64
	if err = s.db.Scan(ctx, `SELECT sent FROM message_outbox_head WHERE topic = ?`, []any{s.topic}, &sent); err != nil {
		return 0, oldest, fmt.Errorf("lag of %s: %w", s.name, err)
	}
	where := `seq > ?`
	if s.db.Shared() {
		where = `(seq = 0 OR seq > ?)`
	}
	var at int64
	err = s.db.Scan(ctx, `SELECT COUNT(*), COALESCE(MIN(at), 0) FROM message_outbox WHERE topic = ? AND `+where, []any{s.topic, sent}, &waiting, &at)
	if err != nil {
		return 0, oldest, fmt.Errorf("lag of %s: %w", s.name, err)
	}
	if at > 0 {
		oldest = time.Unix(0, at).UTC()
	}
	return waiting, oldest, nil
}

// Numbers counts all messages of the topic that the table has.
func (s *Source) Numbers(ctx context.Context) (Numbers, error) {
	n := Numbers{Source: s.name}
	var all, oldest int64
	err := s.db.Scan(ctx, `SELECT COUNT(*), COALESCE(SUM(m.seq = 0 OR m.seq > h.sent), 0),
			COALESCE(MIN(CASE WHEN m.seq = 0 OR m.seq > h.sent THEN m.at END), 0)
		FROM message_outbox m JOIN message_outbox_head h ON h.topic = m.topic WHERE m.topic = ?`, []any{s.topic}, &all, &n.Waiting, &oldest)
	if err != nil {
		return n, fmt.Errorf("numbers of %s: %w", s.name, err)
	}
	n.Kept = all - n.Waiting
	if oldest > 0 {
		n.Oldest = time.Unix(0, oldest).UTC()
	}
	return n, nil
}
