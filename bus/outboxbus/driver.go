// Package outboxbus carries messages straight out of committed outboxes: no broker, no copy, no second write on the hot path.
//
// What it promises: the contract of penstock/bus/driver, with a lease per (group, topic, source). One member of a group holds
// a source at a time; the others stand by and take over when it closes or its lease runs out. Every commit of a cursor checks
// the owner and the epoch of the lease, so a member that was paused for too long cannot move the cursor of its successor.
// The order within a source is kept, so it is the source that keeps a user's order: all messages of a user about a topic must
// come from one source.
//
// What it does not promise: offsets of a partition grow per source. Where a topic has several sources, (partition, offset)
// alone does not name a message; its ID does, and header [HeaderOutbox] names the source.
//
// Cursors live where [driver.Cursors] keeps them; a commit costs one of its transactions per poll batch. Several processes may
// read the same sources when they share the cursors; they then need Options.Poll, because a source's Changed tells of the
// commits of its own process only. Concurrency: the driver is safe for concurrent use; a reader belongs to one goroutine,
// except Lag.
package outboxbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"penstock/bus/driver"
	"penstock/internal/clock"
	"penstock/internal/ident"
)

// ErrLeaseLost says that another member has taken over what the batch came from.
var ErrLeaseLost = driver.ErrLeaseLost

// ErrClosed says that the driver or the reader was closed.
var ErrClosed = errors.New("outbox bus closed")

// HeaderOutbox names the source of a message. It is set on every delivery, over whatever the message brought.
const HeaderOutbox = "outbox"

// Options tunes a Driver. The zero value is good where only this process writes to the sources.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Partitions is the number of partitions of a topic; 0 means 12.
	Partitions int
	// Lease is how long a silent member keeps its sources; 0 means 30 s. A handler that runs longer may lose them.
	Lease time.Duration
	// Heartbeat is how often a lease is renewed without a commit; 0 means 8 s.
	Heartbeat time.Duration
	// Idle is how long a Poll waits for messages; 0 means 500 ms.
	Idle time.Duration
	// Poll is how often the holder of a source looks for messages that other processes committed; 0 means that only the
	// source's Changed and the end of Idle make it look. Where other processes write, 50 ms is good.
	Poll time.Duration
}

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.Partitions < 0:
		return fmt.Errorf("outboxbus: Partitions is %d; it must be positive", o.Partitions)
	case o.Lease < 0 || o.Heartbeat < 0 || o.Idle < 0 || o.Poll < 0:
		return errors.New("outboxbus: Lease, Heartbeat, Idle and Poll must be positive")
	case o.withDefaults().Heartbeat >= o.withDefaults().Lease:
		return errors.New("outboxbus: Heartbeat must be shorter than Lease")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Partitions, o.Lease, o.Idle = cmp.Or(o.Partitions, 12), cmp.Or(o.Lease, 30*time.Second), cmp.Or(o.Idle, 500*time.Millisecond)
	o.Heartbeat = cmp.Or(o.Heartbeat, min(8*time.Second, o.Lease/3))
	return o
}

// Driver implements [driver.Driver] over a set of sources.
type Driver struct {
	cursors driver.Cursors
	topics  map[string][]Source
	opt     Options
	member  string

	done chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	readers map[*reader]struct{}
	opened  int

	sentMu sync.Mutex
	sent   map[string]uint64 // by source name: what Sent has accepted
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver over the sources of each topic. What keeps the cursors stays the caller's to close, after the driver.
func New(cursors driver.Cursors, topics map[string][]Source, o Options) (*Driver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d := &Driver{
		cursors: cursors, topics: topics, opt: o.withDefaults(), member: rand.Text(), done: make(chan struct{}),
		readers: map[*reader]struct{}{}, sent: map[string]uint64{},
	}
	byName := map[string]Source{}
	for topic, sources := range topics {
		seen := map[string]bool{}
		for _, s := range sources {
			if s.Name() == "" || seen[s.Name()] {
				return nil, fmt.Errorf("outboxbus: topic %s has a source without a name or twice: %q", topic, s.Name())
			}
			seen[s.Name()], byName[s.Name()] = true, s
		}
	}
	for name, s := range byName {
		d.wg.Go(func() { d.relay(name, s.Changed()) })
	}
	return d, nil
}

// relay passes one source's news on to every reader that reads it.
func (d *Driver) relay(name string, changed <-chan struct{}) {
	for {
		select {
		case _, open := <-changed:
			if !open {
				return
			}
			d.wake(func(r *reader) bool { return r.lane(name) != nil })
		case <-d.done:
			return
		}
	}
}

func (d *Driver) wake(whom func(*reader) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for r := range d.readers {
		if whom(r) {
			select {
			case r.news <- struct{}{}:
			default:
			}
		}
	}
}

// Subscribe opens a member. The group is known from then on: sources are told Sent only for what it has committed too.
func (d *Driver) Subscribe(ctx context.Context, group, topic string) (driver.Reader, error) {
	sources, ok := d.topics[topic]
	if !ok {
		return nil, fmt.Errorf("outboxbus: no such topic %q", topic)
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Name()
	}
	if err := d.cursors.Enrol(ctx, group, topic, names); err != nil {
		return nil, fmt.Errorf("enrol group %s in topic %s: %w", group, topic, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	d.opened++
	r := &reader{
		d: d, news: make(chan struct{}, 1),
		self: driver.Member{Group: group, Topic: topic, Owner: d.member + "-" + strconv.Itoa(d.opened)},
	}
	for _, s := range sources {
		r.lanes = append(r.lanes, &lane{src: s})
	}
	d.readers[r] = struct{}{}
	return r, nil
}

// Forget removes a group that will never read again, so that the sources need not wait for it. Its readers must be closed.
func (d *Driver) Forget(ctx context.Context, group string) error { return d.cursors.Forget(ctx, group) }

// tell tells the sources how far every known group, of any topic, has committed. What fails is told again by the next commit.
func (d *Driver) tell(ctx context.Context, lanes []*lane) {
	d.sentMu.Lock()
	defer d.sentMu.Unlock()
	for _, l := range lanes {
		name := l.src.Name()
		low, err := d.cursors.Low(ctx, name)
		if err == nil && low > d.sent[name] {
			if err = l.src.Sent(ctx, low); err == nil {
				d.sent[name] = low
			}
		}
		if err != nil {
			d.opt.Logger.Warn("outbox not told what was sent, telling it later", "source", name, "error", err)
		}
	}
}

// Partition spreads users by their virtual slot.
func (d *Driver) Partition(_, user string) int { return ident.SlotOf(user) % d.opt.Partitions }

// Close ends every Poll with ErrClosed and waits for the driver's goroutines. Readers give up their leases by their own
// Close. Idempotent.
func (d *Driver) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
	d.mu.Unlock()
	d.wg.Wait()
	return nil
}
