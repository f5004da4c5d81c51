package driver

import (
	"context"
	"time"

	"penstock/internal/ident"
)

// Lister reads waiting lists as they are committed.
type Lister interface {
	// Waiter returns the entry with this number, or nil, and how many entries of its list wait before it: 0 unless it
	// waits, and any number in a sale that has ended, where places mean nothing and lists may be archived.
	Waiter(ctx context.Context, seq uint64) (w *Waiter, ahead int64, err error)
}

// WaitState is the state of an entry: waiting → offered | left | skipped.
type WaitState uint8

// Entry states.
const (
	_ WaitState = iota
	Waiting
	// Offered means that a claim was made for the entry.
	Offered
	// Left means that its user has left the list.
	Left
	// Skipped means that the list went on without it; Why says the reason.
	Skipped
)

func (s WaitState) String() string {
	return [...]string{"", "waiting", "offered", "left", "skipped"}[min(s, Skipped)]
}

// Waiter is one entry of the waiting list of a SKU. Seq is its number in the journal, its place in the order, and its name.
type Waiter struct {
	Seq uint64
	// Key is the idempotency key of the call that joined, apart from the keys of attempts.
	Key      Key
	SKU      string
	Quantity int64
	At       time.Time
	State    WaitState
	// Order is the claim that was made for it.
	Order ident.ID
	Why   string
	// Taken is the user's allowance in use; only State.Next fills it.
	Taken int64
}

// List names the list that the entry is in.
func (w *Waiter) List() StockRef { return StockRef{Sale: w.Key.Sale, SKU: w.SKU} }

// JoinRef asks for what is there already when a user joins a list.
type JoinRef struct {
	Key Key
	SKU string
}

// Join answers a JoinRef: the entry that the key made, and the one with which the user waits for the SKU; each may be nil.
type Join struct{ Known, Live *Waiter }

// Settle ends the waiting of an entry.
type Settle struct {
	Seq  uint64
	List StockRef
	To   WaitState
	// Order is the claim made for it, in the same changes, when it is offered.
	Order ident.ID
	Why   string
}

// Queued returns by how many entries the changes make each list longer (or, below zero, shorter).
func (c *Changes) Queued() map[StockRef]int64 {
	if len(c.Waiters)+len(c.Settled) == 0 {
		return nil
	}
	n := map[StockRef]int64{}
	for _, w := range c.Waiters {
		n[w.List()]++
	}
	for i := range c.Settled {
		n[c.Settled[i].List]--
	}
	return n
}
