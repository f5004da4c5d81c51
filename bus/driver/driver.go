// Package driver is the small interface between the bus and the engine that carries its messages.
//
// A driver delivers at least once and in order per partition, and remembers how far a group has got. Retries, parking, dead
// letters and idempotence are written once, above it, in package bus. Package bus/drivertest is the contract.
package driver

import (
	"context"
	"time"
)

// Message is one message as the engine carries it.
type Message struct {
	// ID is the same for every delivery of one message: consumers remember it to have the effect once.
	ID    string
	Topic string
	// User is whose messages must stay in order; it also chooses the partition.
	User string
	// Key names the thing the message is about (an order id).
	Key string
	// Type says what happened, such as "stock.held".
	Type    string
	Payload []byte
	Headers map[string]string
	At      time.Time
	// Partition and Offset say where the engine keeps the message. Offsets of one partition only grow.
	Partition int
	Offset    uint64
}

// Driver opens readers. Safe for concurrent use.
type Driver interface {
	// Subscribe opens the reader of one member of a group. Several members of a group share the partitions among them; a
	// partition has one member at a time. A new group starts at the earliest message.
	Subscribe(ctx context.Context, group, topic string) (Reader, error)
	// Partition returns where a user's messages go in this topic.
	Partition(topic, user string) int
	Close() error
}

// Reader is one member of a group. It is used by one goroutine, except that Lag may be called beside it.
type Reader interface {
	// Poll waits for messages and returns up to limit of them, those of one partition in order. It returns nil, nil when idle
	// for a while, and ctx.Err() when ctx ends. At most one poll batch is in flight: Poll after Poll without Commit in between
	// returns the same messages again.
	Poll(ctx context.Context, limit int) ([]Message, error)
	// Commit says that every message of the last poll batch is dealt with: handled, parked, or dead. It fails if the reader
	// has lost its lease meanwhile; the messages will then be delivered again, to whoever holds it.
	Commit(ctx context.Context) error
	// Owns reports whether this member holds the place that the message came from. Parked messages are retried by that
	// member only, so that a user's messages have one handler at a time.
	Owns(m Message) bool
	// Lag returns how many messages the group has not yet committed; 0 only when there is none.
	Lag(ctx context.Context) (int64, error)
	// Close gives up the lease at once. Idempotent.
	Close() error
}

// Skipper is a Reader that can pass over messages without reading them.
type Skipper interface {
	// Skip notes how far the messages go, asks unwanted, and if nobody wants them commits everything up to there, unread. Who
	// comes to want messages before unwanted is asked, or later, misses none from then on. It does nothing, and says so, while a
	// poll batch is in flight. Like Poll it belongs to the reader's one goroutine.
	Skip(ctx context.Context, unwanted func(context.Context) (bool, error)) (skipped bool, err error)
}

// Strayer is a Reader that can tell whether its group stands behind the end of what it reads, as after a source was restored from
// an older copy, or a cursor was written by hand. What comes next, up to there, would be skipped.
type Strayer interface {
	// Beyond returns by how many numbers; 0 is good. Safe beside Poll.
	Beyond(ctx context.Context) (int64, error)
}

// Store keeps what the bus sets aside: parked messages and dead letters. Safe for concurrent use; each call is durable when
// it returns nil.
type Store interface {
	// Park appends messages to the queues of their users in the group. Parking the same message twice keeps one; a message
	// that is or was a dead letter of the group is not parked again by a redelivery.
	Park(ctx context.Context, group string, msgs []Parked) error
	// Parked returns up to limit parked messages of the group that are due, longest due first, only the head of each user's queue.
	Parked(ctx context.Context, group string, now time.Time, limit int) ([]Parked, error)
	// Users returns the users of the group that have parked messages.
	Users(ctx context.Context, group string) ([]string, error)
	// Settle records what became of messages that were tried, all in one transaction. An outcome for a message that is parked
	// no more is passed over. One with Parked.Seq 0 was never parked: only its dead letter is written, once.
	Settle(ctx context.Context, group string, outcomes []Outcome) error
	// Count returns how many messages the group has parked and how many of its dead letters nobody has settled.
	Count(ctx context.Context, group string) (parked, dead int64, err error)
	DeadLetters
}

// Parked is a message that waits behind a failure of its user.
type Parked struct {
	Seq     int64 // place in the store, given by it
	Message Message
	Tries   int // failed tries so far
	Error   string
	Due     time.Time
	// Replays counts how often the message came back from being a dead letter (the loop guard).
	Replays int
}

// Outcome is what became of a message that was tried: handled, unless Again or Dead says otherwise.
type Outcome struct {
	Parked Parked
	// Again keeps the message parked, with Parked's Tries, Error and Due.
	Again bool
	// Dead is what the message became, or nil.
	Dead *DeadLetter
}
