// Package driver is the small interface between the policy of orders and a store of them.
//
// A store is a set of databases of [shard.Tables] order tables each. A driver is mechanism only: it reads the rows it is asked
// about under a lock, hands each to a pure function, and writes what that function returns, rows and events, in one durable
// transaction. Which step is legal, what a row that fails costs the others, when to try again and how shards are merged is
// decided in package order, once, for every engine. Package order/drivertest is the contract in executable form.
package driver

import (
	"context"
	"errors"

	bus "penstock/bus/driver"
	"penstock/bus/outbox"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/order/shard"
)

// ErrUnknown says that a transaction was sent to the database and nobody knows whether it was committed. Writing the same
// changes again settles it.
var ErrUnknown = errors.New("commit outcome unknown")

// ErrUnavailable says that nothing was executed because the database cannot take the call now.
var ErrUnavailable = errors.New("order database unavailable")

// Store is the open databases of one placement. All methods are safe for concurrent use.
type Store interface {
	// Map is the placement that every database of the store was written with.
	Map() *shard.Map
	// Database returns database i, 0 … Map().Databases()-1.
	Database(i int) Database
	// Outboxes are the message tables that Write publishes into; none where the store is open for reading only.
	Outboxes() []Outbox
	// Close waits for running calls and releases the databases.
	Close() error
}

// Outbox is a message table of a store. Name tells it from the others, for good.
type Outbox struct {
	Name string
	outbox.DB
}

// Database is one database of a store. Other processes may write it at the same time unless the driver says otherwise.
type Database interface {
	Writer
	Reader
	// Copy returns a reader for one page or one export. It knows at least what was committed before the call, and may be a
	// replica; it falls back to the primary by itself. A driver without replicas returns the database.
	Copy(ctx context.Context) Reader
}

// Writer changes orders.
type Writer interface {
	// Write runs the batch in one transaction: changes of one order take effect one after the other, as they stand. It returns
	// nil only after the commit is durable.
	//
	// Errors: [*Refused] when the database refuses a row (nothing was written); ErrUnknown (wrapped) when the commit may or may
	// not have happened; ErrUnavailable (wrapped) when nothing was executed; after any other error nothing is known either.
	// Write calls of one process run one at a time; the caller sees to that.
	Write(ctx context.Context, b *Batch) error
	// Put writes finished orders with all their events, as they are, in one transaction. An order that is there already is left
	// as it is, and so is an event that is there without its order. It is for copying and mending a store, not for sales.
	Put(ctx context.Context, orders []Order) error
}

// Reader reads committed orders. A read never waits for a writer.
type Reader interface {
	// Get returns the order with its events, as of one moment, or nil. The database's own Get sees every write that was
	// acknowledged before.
	Get(ctx context.Context, table int, id ident.ID) (*Order, error)
	// Owned returns up to limit orders of the user with ids below before, newest first, with their events.
	Owned(ctx context.Context, table int, user string, before ident.ID, limit int) ([]Order, error)
	// Newest returns up to limit ids of orders below before, newest first, over all tables.
	Newest(ctx context.Context, before ident.ID, limit int) ([]ident.ID, error)
	// Last returns the highest ids.
	Last(ctx context.Context) (Last, error)
	// Page returns orders of one table in the order of their ids.
	Page(ctx context.Context, p Page) ([]Order, error)
	// Events returns up to limit events after number n of order after, up to those of order last, by order and number.
	Events(ctx context.Context, after ident.ID, n int64, last ident.ID, limit int) ([]OrderEvent, error)
	// Count returns how many orders each table has.
	Count(ctx context.Context) ([shard.Tables]int64, error)
}

// Last is the highest ids of a database; 0 where there is none.
type Last struct {
	Orders [shard.Tables]ident.ID
	Events ident.ID
}

// Page names up to Limit orders of a table: After < id ≤ Last.
type Page struct {
	Table       int
	After, Last ident.ID
	Limit       int
	// Events says that the orders are wanted with their events.
	Events bool
}

// Batch is what one transaction has to do.
type Batch struct {
	Changes []*Change
	// Next tells what becomes of the row that Changes[i] finds or has made. It must be pure: the transaction may be run again.
	// An error leaves the row of this change as it is, and is the answer to this change alone: whoever made Next keeps it.
	Next func(i int, now Current) (Update, error)
	// Fault has the points "order.row" (before a change) and "order.commit" (before the commit). May be nil.
	Fault *fault.Points
}

// Change is one order's part of a batch.
type Change struct {
	ID    ident.ID
	Table int
	// Seed is what the row is made of if it is missing; nil means that it must be there.
	Seed *Seed
	// Written is when the row is made if it is missing, in nanoseconds since 1970.
	Written int64
	// Exist says that the row only has to exist: Next is not asked.
	Exist bool

	// Made and Missing are set by Write: this transaction made the row; there is none and no Seed.
	Made, Missing bool
}

// Seed is a new row. Times are nanoseconds since 1970, Items is the JSON of the lines, Amount is minor units of Currency.
type Seed struct {
	User, Sale, Key, Items, Currency, Trace string
	Amount, Created, PayBefore              int64
}

// At returns when the second event of a new row happens: when it is written, but not before it was decided.
func (c *Change) At() int64 { return max(c.Written, c.Seed.Created) }

// Current is what a step needs to know of a row.
type Current struct {
	State                              State
	Version, Changed, Amount, Refunded int64
	User, Sale, Currency               string
}

// Fresh is the row that a seed becomes: accepted when it was decided, waiting for its payment when it is written.
func (c *Change) Fresh() Current {
	return Current{
		State: PendingPayment, Version: 2, Changed: c.At(), Amount: c.Seed.Amount,
		User: c.Seed.User, Sale: c.Seed.Sale, Currency: c.Seed.Currency,
	}
}

// Update is what becomes of a row: its refunded amount, and a step for each event, numbered on from the row's version. Messages
// go into the message table in the same transaction.
type Update struct {
	// State, if it is not empty, is what the row becomes without a step: what its events say.
	State    State
	Refunded int64
	Steps    []Step
	Messages []bus.Message
}

// Step is an event to be.
type Step struct {
	To       State
	At       int64 // nanoseconds since 1970, not before the last event
	Why, Who string
}

// After is the row after an update.
func (c Current) After(u Update) Current {
	c.Refunded = u.Refunded
	if u.State != "" {
		c.State = u.State
	}
	for _, s := range u.Steps {
		c.State, c.Changed = s.To, s.At
		c.Version++
	}
	return c
}

// Refused says that the database refuses a row, so that nothing was written. Index is the change in its batch, or -1 when the
// database does not tell which.
type Refused struct {
	Index int
	Err   error
}

func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns what the database said.
func (r *Refused) Unwrap() error { return r.Err }
