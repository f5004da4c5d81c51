package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"penstock/bus/driver"
)

// A turn is: poll, handle in waves, set aside, commit, then retry the parked messages that are due.
//
//	        ┌────────────────────────────────────────────────────────┐
//	        ▼                                                        │
//	      poll ──► waves ──► park ──► commit ──► retry parked heads ─┤
//	        ▲        │         │         │               │           │
//	        └────────┴─────────┴─────────┴── back off ◄──┘ any error │
//	                        (nothing committed, delivered again)     │
//	idle ────────────────────────────────────────────────────────────┘
//
// Parked messages are retried only after a commit or an idle poll, so that a message which was parked but not committed is
// met again by the poll (and found parked) before its retry could settle it.

// passes bounds how many heads of one user are retried between two polls, so that a long parked queue never starves the topic.
const passes = 32

// retryFor is how long a turn goes on with retries, beyond the pass in hand.
const retryFor = 200 * time.Millisecond

// hurry is how long a poll may wait when parked messages are still due.
const hurry = 10 * time.Millisecond

type subscription struct {
	bus          *Bus
	group, topic string
	handler      Handler
	wanted       func(context.Context) (bool, error) // nil: always

	// nextDue is the earliest known time at which a parked message is due; zero when none is known. It is a hint that makes
	// retries punctual: without it they wait for the idle time of the poll.
	nextDue time.Time
	// cut is true when the last poll was cut short by nextDue: the next one is not, so that the topic never starves.
	cut bool

	mu     sync.Mutex
	reader driver.Reader
	count  Counts
}

func (s *subscription) logger() *slog.Logger {
	return s.bus.log.With("group", s.group, "topic", s.topic)
}

func (s *subscription) subscribe(ctx context.Context) error {
	r, err := s.bus.drv.Subscribe(ctx, s.group, s.topic)
	if err != nil {
		return fmt.Errorf("subscribe %s to %s: %w", s.group, s.topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader = r
	return nil
}

// current returns the reader, or nil while the engine has not let us subscribe.
func (s *subscription) current() driver.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader
}

// run takes turns until soft ends. hard is the context of the work in hand.
func (s *subscription) run(soft, hard context.Context) {
	for failures := 0; soft.Err() == nil; {
		err := s.turn(soft, hard)
		if err == nil {
			failures = 0
			continue
		}
		if soft.Err() != nil {
			break
		}
		failures++
		s.logger().Warn("turn failed, nothing committed, trying again", "error", err, "failures", failures)
		s.pause(soft, s.bus.delay(failures))
	}
	if r := s.current(); r != nil {
		if err := r.Close(); err != nil {
			s.logger().Warn("lease not given up", "error", err)
		}
	}
}

func (s *subscription) pause(ctx context.Context, d time.Duration) {
	t := s.bus.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
	}
}

func (s *subscription) turn(soft, hard context.Context) error {
	if s.current() == nil {
		if err := s.subscribe(soft); err != nil {
			return err
		}
	}
	skipped, err := s.skip(soft)
	if err != nil {
		return fmt.Errorf("pass over what nobody wants: %w", err)
	}
	if skipped {
		return s.retryDue(soft, hard)
	}
	batch, err := s.poll(soft)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	if len(batch) > 0 {
		if err := s.process(hard, batch); err != nil {
			return err
		}
	}
	return s.retryDue(soft, hard)
}

// asleep is how long a subscription that wants nothing waits between two looks.
const asleep = 500 * time.Millisecond

// skip passes over what nobody wants, and waits.
func (s *subscription) skip(ctx context.Context) (bool, error) {
	reader, able := s.current().(driver.Skipper)
	if s.wanted == nil || !able {
		return false, nil
	}
	if yes, err := s.wanted(ctx); yes || err != nil {
		return false, err
	}
	skipped, err := reader.Skip(ctx, func(ctx context.Context) (bool, error) {
		yes, err := s.wanted(ctx)
		return !yes, err
	})
	if skipped {
		s.pause(ctx, asleep)
	}
	return skipped, err
}

// poll waits for a batch, but not longer than until the next parked message is due.
func (s *subscription) poll(ctx context.Context) ([]driver.Message, error) {
	reader, limit := s.current(), s.bus.opt.PollLimit
	if s.nextDue.IsZero() || s.cut {
		s.cut = false
		return reader.Poll(ctx, limit)
	}
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	t := s.bus.clock.NewTimer(max(hurry, s.nextDue.Sub(s.bus.clock.Now())))
	defer t.Stop()
	go func() {
		select {
		case <-t.C():
			cancel()
		case <-short.Done():
		}
	}()
	batch, err := reader.Poll(short, limit)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		s.cut = true
		return nil, nil
	}
	return batch, err
}

// due notes that a parked message waits until at.
func (s *subscription) due(at time.Time) {
	if s.nextDue.IsZero() || at.Before(s.nextDue) {
		s.nextDue = at
	}
}
