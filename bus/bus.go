// Package bus brings messages from an engine to handlers: at least once, in order per user, with retries, parking and dead
// letters written once for every engine.
//
// What it promises. Every message of a topic reaches each group's handler at least once, however often the process dies. The
// messages of one user reach it in the order of the topic, also when one of them fails: the failed one and all that follow it
// wait in the user's parked queue while other users flow. A message that keeps failing becomes a dead letter that says why and
// from where, and the user's next message flows. A message leaves the engine's cursor only when it is handled, durably parked
// or durably dead.
//
// What it does not promise. A message may be delivered again at any time: handlers must be idempotent by [driver.Message.ID]
// or by the thing it names. Order is per user and topic; there is none between users or topics. Messages without a user are
// one order of their own.
//
// Concurrency: each subscription is one goroutine; its handler is never called concurrently with itself. All methods of [Bus]
// and [DeadLetters] are safe for concurrent use. DESIGN.md beside this file tells what a crash does at each step.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"

	"penstock/bus/driver"
	"penstock/internal/clock"
	"penstock/internal/fault"
)

// ErrPoison, wrapped in a handler's error, says that the message can never be handled. It becomes a dead letter at once.
var ErrPoison = errors.New("poison message")

// ErrUnavailable, wrapped in a handler's error, says that the message was not looked at because what the handler writes to
// cannot take it now. The user waits in his parked queue; it does not count as a try, so an outage makes no dead letters.
var ErrUnavailable = errors.New("handler unavailable")

// Handler handles a batch that holds at most one message of each user, in order of delivery. It returns one error per message,
// or nil when all went well; any other length counts as a failure of each. It must be idempotent and must not change or keep
// the messages. A panic fails the message that caused it: a batch that panics is split until the culprit stands alone, so
// good messages beside it may be handled more than once. ctx ends when a Stop runs out of time; errors returned after that
// are not counted.
type Handler func(ctx context.Context, batch []driver.Message) []error

// Bus runs subscriptions on a driver and keeps what they set aside in a store.
type Bus struct {
	drv   driver.Driver
	store driver.Store
	clock clock.Clock
	log   *slog.Logger
	fault *fault.Points
	opt   Options
	dead  *DeadLetters

	randMu sync.Mutex
	rand   *rand.Rand

	mu      sync.Mutex
	subs    []*subscription
	state   state
	soft    context.CancelFunc // no further poll
	hard    context.CancelFunc // give up what is being handled
	stopped chan struct{}
}

type state uint8

const (
	idle state = iota
	running
	ended
)

// New returns a bus that is not running. The driver and the store stay the caller's to close, after Stop.
func New(drv driver.Driver, store driver.Store, o Options) (*Bus, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	b := &Bus{
		drv: drv, store: store, clock: o.Clock, log: o.Logger, fault: o.Fault, opt: o,
		rand: rand.New(rand.NewPCG(o.Seed, o.Seed^0x9e3779b97f4a7c15)), stopped: make(chan struct{}),
	}
	b.dead = newDeadLetters(store, o)
	return b, nil
}

// Consume registers the handler of a group for a topic. A group may consume several topics, each once; a failed message then
// also holds back the user's messages of the group's other topics. It fails after Start.
func (b *Bus) Consume(group, topic string, h Handler) error {
	return b.ConsumeWhile(group, topic, nil, h)
}

// ConsumeWhile is Consume for a group that at times wants nothing of a topic. While wanted says so, messages are passed over, on
// an engine that can ([driver.Skipper]) without being read; wanted is asked about twice a second then, and before each poll
// otherwise. Once it says yes no later message is missed; some of the second before may be delivered as well.
func (b *Bus) ConsumeWhile(group, topic string, wanted func(context.Context) (bool, error), h Handler) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if group == "" || topic == "" || h == nil {
		return fmt.Errorf("bus: consume needs a group, a topic and a handler (got %q, %q)", group, topic)
	}
	if b.state != idle {
		return fmt.Errorf("bus: group %s cannot consume %s: the bus has been started", group, topic)
	}
	for _, s := range b.subs {
		if s.group == group && s.topic == topic {
			return fmt.Errorf("bus: group %s consumes %s already", group, topic)
		}
	}
	b.subs = append(b.subs, &subscription{bus: b, group: group, topic: topic, wanted: wanted, handler: wellFormed(h)})
	return nil
}

// Start subscribes every group and runs the consumers until Stop. ctx bounds only the start; its end does not stop the bus.
// A subscription that the engine refuses now is tried again in the background.
func (b *Bus) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != idle {
		return errors.New("bus: started before")
	}
	for _, s := range b.subs {
		if err := s.subscribe(ctx); err != nil {
			s.logger().Warn("subscribe failed, trying again", "error", err)
		}
	}
	base := context.WithoutCancel(ctx)
	soft, stopPolling := context.WithCancel(base)
	hard, abandon := context.WithCancel(base)
	b.soft, b.hard, b.state = stopPolling, abandon, running
	var wg sync.WaitGroup
	for _, s := range b.subs {
		wg.Go(func() { s.run(soft, hard) })
	}
	go func() {
		wg.Wait()
		abandon()
		close(b.stopped)
	}()
	return nil
}

// Stop ends polling, lets the batches in hand finish and gives up the leases. When ctx ends first, the handlers' context is
// cancelled and Stop returns ctx.Err(); what was in hand is delivered again after the next start. Idempotent.
func (b *Bus) Stop(ctx context.Context) error {
	b.mu.Lock()
	switch b.state {
	case idle:
		close(b.stopped)
	case running:
		b.soft()
	}
	b.state = ended
	b.mu.Unlock()
	select {
	case <-b.stopped:
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		b.hard()
		return ctx.Err()
	}
	return nil
}

// Stopped is closed when every consumer has ended.
func (b *Bus) Stopped() <-chan struct{} { return b.stopped }

// DeadLetters returns the service that lists and settles dead letters.
func (b *Bus) DeadLetters() *DeadLetters { return b.dead }
