// Package shed refuses what matters least while there is more to do than can be done, so that the rest is done in time.
//
// The order is written down in [Class]: paying comes before reading an order that was won, that before asking how an attempt
// ended, then attempts with a pass, attempts, browsing and search. Within a class those who call most sink behind the others.
// A call that must wait does so in that order, for at most its class's patience; when too many wait, the least important of
// them is refused. A refusal means: not executed.
//
// How much runs at once follows the machine: see DESIGN.md.
package shed

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
)

// Shedder is safe for concurrent use.
type Shedder struct {
	o       Options
	usage   usage
	running atomic.Int64 // calls let through and not yet ended
	limit   atomic.Int64
	queued  atomic.Int64 // those who wait, so that nobody overtakes them
	paid    atomic.Int64 // with a capacity: the time up to which calls have been let through, in ns since base
	base    time.Time
	release func()

	mu    sync.Mutex
	lines [classes][grades]line
	wake  bool // a timer is set for the next call that the capacity allows
	ended bool

	counts  [classes]count
	stopped chan struct{}
	done    sync.WaitGroup
}

type count struct{ passed, refused atomic.Uint64 }

// New returns a shedder. Start it to have it follow the machine.
func New(o Options) (*Shedder, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("shed: %w", err)
	}
	o = o.withDefaults()
	s := &Shedder{o: o, base: o.Clock.Now(), stopped: make(chan struct{})}
	s.usage.seed = maphash.MakeSeed()
	s.limit.Store(int64(o.InFlight))
	s.release = s.leave
	return s, nil
}

// Acquire asks to run a call of the class for somebody ("" for nobody known), and waits for its turn if need be. Whoever is let
// through calls release once, when the call has ended. The error is reduced-capacity and says when to come back, or the
// context's.
func (s *Shedder) Acquire(ctx context.Context, c Class, who string) (release func(), err error) {
	if c == Exempt {
		return func() {}, nil
	}
	g := 0
	if who != "" {
		g = grade(s.usage.add(who))
	}
	if s.queued.Load() == 0 && s.enter() {
		s.counts[c].passed.Add(1)
		return s.release, nil
	}
	return s.wait(ctx, c, g)
}

// enter takes a place among the running, if there is one.
func (s *Shedder) enter() bool {
	for n := s.running.Load(); n < s.limit.Load(); n = s.running.Load() {
		if !s.running.CompareAndSwap(n, n+1) {
			continue
		}
		if s.pay() {
			return true
		}
		s.running.Add(-1)
		return false
	}
	return false
}

// burst is how much unused capacity is kept.
const burst = 50 * time.Millisecond

// pay takes one call from the capacity: a virtual time advances by a call's share with each, and must not be ahead of the clock.
func (s *Shedder) pay() bool {
	if s.o.Capacity == 0 {
		return true
	}
	now, share := int64(s.o.Clock.Now().Sub(s.base)), int64(float64(time.Second)/s.o.Capacity)
	for {
		at := s.paid.Load()
		if at > now {
			return false
		}
		if s.paid.CompareAndSwap(at, max(at, now-int64(burst))+share) {
			return true
		}
	}
}

// leave ends a call and lets the next one in.
func (s *Shedder) leave() {
	s.running.Add(-1)
	if s.queued.Load() > 0 {
		s.mu.Lock()
		s.admit()
		s.mu.Unlock()
	}
}

// admit lets those in whose turn it is. The caller holds mu.
func (s *Shedder) admit() {
	for s.queued.Load() > 0 && s.enter() {
		w := s.first()
		s.remove(w)
		w.verdict <- true
	}
	if s.queued.Load() > 0 && s.o.Capacity > 0 && !s.wake && !s.ended {
		s.wake = true
		s.done.Go(s.later)
	}
}

// later admits once the capacity allows another call.
func (s *Shedder) later() {
	timer := s.o.Clock.NewTimer(max(time.Duration(s.paid.Load()-int64(s.o.Clock.Now().Sub(s.base))), 100*time.Microsecond))
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-s.stopped:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = false
	s.admit()
}

// refusal tells one who is refused when to come back: the less he matters the later, so that the next round is quieter.
func (s *Shedder) refusal(c Class) error {
	s.counts[c].refused.Add(1)
	e := errs.New(errs.ReducedCapacity, "there is more to do than can be done now; this call was not executed")
	e.RetryAfter = time.Second * time.Duration(c)
	return e
}
