// Package breaker stops calls to something that fails, so that neither its callers nor it drown in them.
//
//	closed ──(Failures in a row, or in Window)──► open ──(Open has passed)──► half-open ──(Successes in a row)──► closed
//	                                               ▲                              │
//	                                               └──────────(a failure)─────────┘
//
// Half-open lets one trial through at a time; everybody else is still refused. A call that was let through before a change of
// state says nothing about the state after it: its result is not counted. A call that took longer than Slow is a failure,
// whatever it returned.
//
// Counting and states are failsafe-go's; the single trial, stale results and slow calls are ours. A breaker guards what may be
// answered another way (a default, a second path). It must not stand in front of a question of identity or permission whose
// answer would then be guessed: a refused question is a refusal.
package breaker

import (
	"fmt"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"penstock/errs"
)

// State is where a breaker stands.
type State string

// States.
const (
	Closed   State = "closed"
	Open     State = "open"
	HalfOpen State = "half-open"
)

// Options tunes a breaker. The zero value takes the defaults.
type Options struct {
	// Failures open it; 0 means 5. They count in a row, or with Window within that time.
	Failures int `yaml:"failures"`
	// Window is the time within which Failures count; 0 means in a row.
	Window time.Duration `yaml:"window"`
	// Successes in a row close it again; 0 means 2.
	Successes int `yaml:"successes"`
	// Open is how long nothing passes; 0 means 60 s.
	Open time.Duration `yaml:"open"`
	// Slow is how long a call may take before it counts as failed; 0 means any time.
	Slow time.Duration `yaml:"slow"`
	// OnChange is told of each change of state, in order, while the breaker is locked: it must return at once and must not call
	// the breaker.
	OnChange func(from, to State) `yaml:"-"`
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.Failures < 0 || o.Failures > 10_000:
		return fmt.Errorf("failures is %d: it must be between 1 and 10000, such as 5", o.Failures)
	case o.Successes < 0 || o.Successes > 10_000:
		return fmt.Errorf("successes is %d: it must be between 1 and 10000, such as 2", o.Successes)
	case o.Window < 0 || o.Window > 0 && o.Window < 10*time.Millisecond || o.Window > time.Hour:
		return fmt.Errorf("window is %v: it must be between 10ms and 1h, such as 10s, or left out", o.Window)
	case o.Open < 0 || o.Open > time.Hour:
		return fmt.Errorf("open is %v: it must be at most 1h, such as 60s", o.Open)
	case o.Slow < 0:
		return fmt.Errorf("slow is %v: it must be 0 or more, such as 2s", o.Slow)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Failures == 0 {
		o.Failures = 5
	}
	if o.Successes == 0 {
		o.Successes = 2
	}
	if o.Open == 0 {
		o.Open = time.Minute
	}
	return o
}

// Breaker is safe for concurrent use.
type Breaker struct {
	o Options

	mu     sync.Mutex
	inner  circuitbreaker.CircuitBreaker[any]
	age    uint64 // grows with each change of state
	trial  bool   // one is out
	forced bool   // an operator holds it open
}

// New returns a closed breaker.
func New(o Options) (*Breaker, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	o = o.withDefaults()
	b := &Breaker{o: o}
	b.inner = b.fresh()
	return b, nil
}

func (b *Breaker) fresh() circuitbreaker.CircuitBreaker[any] {
	build := circuitbreaker.NewBuilder[any]().WithDelay(b.o.Open).WithSuccessThreshold(uint(b.o.Successes)).OnStateChanged(b.changed)
	if b.o.Window > 0 {
		build = build.WithFailureThresholdPeriod(uint(b.o.Failures), b.o.Window)
	} else {
		build = build.WithFailureThreshold(uint(b.o.Failures))
	}
	return build.Build()
}

// changed runs inside a call of inner, with mu held.
func (b *Breaker) changed(e circuitbreaker.StateChangedEvent) {
	b.age++
	b.trial = false
	if b.o.OnChange != nil {
		b.o.OnChange(stateOf(e.OldState), stateOf(e.NewState))
	}
}

// Allow asks for one call. Whoever is allowed says once how it ended and how long it took; done may be called from any
// goroutine, and only its first call counts. A trial of which nobody says how it ended keeps all others out. The error is reduced-capacity, and says when the next trial may be made.
func (b *Breaker) Allow() (done func(err error, took time.Duration), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forced {
		return nil, refused(b.o.Open)
	}
	if b.trial || !b.inner.TryAcquirePermit() {
		return nil, refused(b.inner.RemainingDelay())
	}
	b.trial = b.inner.IsHalfOpen()
	var once sync.Once
	age := b.age
	return func(err error, took time.Duration) { once.Do(func() { b.end(age, err, took) }) }, nil
}

func (b *Breaker) end(age uint64, err error, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age != b.age {
		return
	}
	b.trial = false
	if err != nil || b.o.Slow > 0 && took > b.o.Slow {
		b.inner.RecordFailure()
		return
	}
	b.inner.RecordSuccess()
}

func refused(wait time.Duration) error {
	e := errs.New(errs.ReducedCapacity, "what this call needs is failing; it was not executed")
	e.RetryAfter = max(wait, time.Second)
	return e
}

// State returns where it stands. Open turns to half-open with the first call after its time, not before.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forced {
		return Open
	}
	return stateOf(b.inner.State())
}

// Forced reports whether an operator holds it open.
func (b *Breaker) Forced() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forced
}

// Trip holds it open until Reset, whatever happens.
func (b *Breaker) Trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forced = true
	b.inner.Open()
}

// Reset closes it and forgets what it has counted.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := stateOf(b.inner.State())
	b.inner, b.forced, b.trial = b.fresh(), false, false
	b.age++
	if was != Closed && b.o.OnChange != nil {
		b.o.OnChange(was, Closed)
	}
}

func stateOf(s circuitbreaker.State) State {
	switch s {
	case circuitbreaker.OpenState:
		return Open
	case circuitbreaker.HalfOpenState:
		return HalfOpen
	default:
		return Closed
	}
}
