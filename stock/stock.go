package stock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Options tunes a [Stock]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Node is this process's number in ids, 0 … ident.MaxNode. A driver that leases numbers to processes decides instead.
	Node int
	// MaxBatch is how many calls one transaction decides at most; 0 means 512.
	MaxBatch int
	// Linger is how long a batch waits for company while there is a crowd; an idle writer commits at once, whatever it says. 0
	// means not at all.
	Linger time.Duration
	// Queue is how many calls may wait for the writer; more are refused as reduced-capacity. 0 means 16384.
	Queue int
	// Deadline is when a waiting call is answered Unknown; 0 means 2 s. It is kept to a twentieth.
	Deadline time.Duration
	// HeldRetry is the Retry-After of stock-held and not-enough-left; 0 means 1 s.
	HeldRetry time.Duration
	// OnCommit is told, in commit order, what each committed batch changed. It must be quick and must not call back.
	OnCommit func(Committed)
}

// Committed is what a committed batch changed. It is valid only during the call.
type Committed struct {
	Stock []driver.Stock
	Sales []driver.Sale
	// Won counts the attempts that took stock, Calls all calls decided, Took is the time of the transaction.
	Won, Calls int
	Took       time.Duration
}

// Validate names the first option that is out of range.
func (o *Options) Validate() error {
	switch {
	case o.Node < 0 || o.Node > ident.MaxNode:
		return fmt.Errorf("stock: Node is %d, want 0 to %d", o.Node, ident.MaxNode)
	case o.MaxBatch < 0 || o.MaxBatch > 4096:
		return fmt.Errorf("stock: MaxBatch is %d, want 1 to 4096", o.MaxBatch)
	case o.Linger < 0 || o.Linger > 100*time.Millisecond:
		return fmt.Errorf("stock: Linger is %v, want 0 to 100ms", o.Linger)
	case o.Deadline < 0:
		return fmt.Errorf("stock: Deadline is %v, want more than 0", o.Deadline)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	o.MaxBatch = cmp.Or(o.MaxBatch, 512)
	o.Queue = cmp.Or(o.Queue, 16384)
	o.Deadline = cmp.Or(o.Deadline, 2*time.Second)
	o.HeldRetry = cmp.Or(o.HeldRetry, time.Second)
	return nil
}

// Stock decides attempts over one stock database. Safe for concurrent use, Prune by one caller at a time.
//
// Beside what a method names it fails with errs.ReducedCapacity when nothing was executed because the queue is full, the stock is
// closing or the database is away; with errs.Unknown when a change was not settled within Options.Deadline or before ctx ended: it
// goes on, and the same call again tells; and with ctx's own error when that had ended before.
type Stock struct {
	drv  driver.Driver
	opt  Options
	ids  *ident.Generator
	node func() (int, ident.ID) // nil unless the driver leases numbers
	busy inFlight
	late *deadline
	// spare holds attempts that are done with, each with its channel.
	spare sync.Pool

	queue   chan call
	mu      sync.RWMutex // guards closed against sends into queue
	closed  bool
	stopped chan struct{}
	waiting atomic.Int64 // calls taken and not yet settled

	changed chan struct{} // capacity 1: something was committed
	before  int           // calls in the batch before; owned by the committer
	work    work          // owned by the committer

	pruning map[string]pruning // owned by Prune

	complaint struct { // what was not said yet about batches that failed; owned by the committer
		at    time.Time
		calls int
	}
}

// New starts deciding over drv. It reads the newest id so that new ones are later. Close it before closing drv.
func New(ctx context.Context, drv driver.Driver, o Options) (*Stock, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	snap, err := drv.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the stock database: %w", err)
	}
	s := &Stock{
		drv: drv, opt: o, ids: ident.NewGenerator(o.Node, snap.LastID), queue: make(chan call, o.Queue),
		stopped: make(chan struct{}), changed: make(chan struct{}, 1), late: newDeadline(o.Clock, o.Deadline),
	}
	if l, ok := drv.(lessor); ok {
		s.node = l.Node
	}
	if o.OnCommit != nil {
		o.OnCommit(Committed{Stock: snap.Stock, Sales: snap.Sales})
	}
	go s.run()
	return s, nil
}

// lessor is a driver that several processes share. Each has a number of its own for ids, which may change between decisions;
// with it comes the highest id there was when the number was given.
type lessor interface {
	Node() (n int, after ident.ID)
}

// Close lets calls that were taken finish, refuses new ones and stops. It returns ctx's error if that takes too long;
// unsettled calls are then answered Unknown. Idempotent.
func (s *Stock) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	select {
	case <-s.stopped:
		s.late.stop()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// InFlight returns how many calls are taken and not yet settled, including those whose caller was told Unknown.
func (s *Stock) InFlight() int64 { return s.waiting.Load() }

// Attempt decides r and returns the answer once it is durable. It waits at most Options.Deadline (or until ctx ends) and then
// answers Unknown; the decision goes on and the same key finds it.
func (s *Stock) Attempt(ctx context.Context, r Request) Answer {
	a := newAttempt(s, r)
	s.busy.enter(a.key)
	if !s.send(a) {
		s.busy.leave(a.key)
		a.recycle()
		return Answer{State: Lost, Reason: errs.ReducedCapacity, RetryAfter: time.Second}
	}
	select {
	case <-a.done:
		answer := a.answer
		a.recycle()
		return answer
	case <-ctx.Done():
	case <-s.late.after():
	}
	return Answer{State: Unknown, RetryAfter: time.Second}
}

// Busy reports whether an attempt with this key is being decided now.
func (s *Stock) Busy(key driver.Key) bool { return s.busy.has(key) }

// Lookup returns the answer that a key is bound to. False means that nothing is bound and nothing is in flight in this
// process: not executed so far.
func (s *Stock) Lookup(ctx context.Context, sale, user, key string) (Answer, bool, error) {
	k := driver.Key{Sale: sale, User: user, Key: key}
	inFlight := s.busy.has(k) // before the read: a call that ends in between is found by the read
	a, err := s.drv.Attempt(ctx, k)
	switch {
	case err != nil:
		return Answer{}, false, readable(err)
	case a != nil:
		return answerOf(a, true), true, nil
	case inFlight:
		return Answer{State: Unknown, RetryAfter: time.Second}, true, nil
	}
	return Answer{}, false, nil
}

// Claim returns the winning attempt with this id, or nil.
func (s *Stock) Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error) {
	a, err := s.drv.Claim(ctx, id)
	return a, readable(err)
}

// Unsent returns the user's wins that the bus may not have delivered yet, in order of decision.
func (s *Stock) Unsent(ctx context.Context, user string) ([]*driver.Attempt, error) {
	all, err := s.drv.Unsent(ctx, user)
	return all, readable(err)
}

// Due returns up to limit claims that are still held though their ReleaseAt has come, earliest first.
func (s *Stock) Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error) {
	ids, err := s.drv.Due(ctx, now, limit)
	return ids, readable(err)
}

// Snapshot returns all sales and stock rows as of one moment.
func (s *Stock) Snapshot(ctx context.Context) (*driver.Snapshot, error) {
	snap, err := s.drv.Snapshot(ctx)
	return snap, readable(err)
}

// Journal returns up to limit entries after the given sequence number.
func (s *Stock) Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error) {
	page, err := s.drv.Journal(ctx, after, limit)
	return page, readable(err)
}

// Audit returns up to limit rows of the trail after the given sequence number.
func (s *Stock) Audit(ctx context.Context, after uint64, limit int) ([]driver.Audit, error) {
	page, err := s.drv.Audit(ctx, after, limit)
	return page, readable(err)
}

// answerOf turns what is bound to a key into the answer that was given for it.
func answerOf(a *driver.Attempt, replayed bool) Answer {
	if a.Won() {
		return Answer{State: Won, Attempt: a, Replayed: replayed}
	}
	return Answer{State: Lost, Reason: a.Reason, Attempt: a, SKU: a.SKU, Left: a.Left, Replayed: replayed}
}

var errClosed = errors.New("the stock is closing")
