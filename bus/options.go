package bus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"penstock/internal/clock"
	"penstock/internal/fault"
)

// Act is what an operator did to a dead letter, for the trail: who did what to what, why, and JSON of before and after. ID is
// unique.
type Act struct{ Who, Act, Object, Why, Before, After, ID string }

// Options tunes a Bus. The zero value is good.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// MaxRetries is how often a failed message is tried again before it becomes a dead letter: 1 to 3; 0 means 3, -1 none.
	MaxRetries int
	// Backoff spaces the retries of a message, and the polls after a failure of the engine or the store.
	Backoff Backoff
	// Seed makes the jitter of the backoff repeatable.
	Seed uint64
	// PollLimit is the largest poll batch, 1 to 500; 0 means 500.
	PollLimit int
	// ReplayRate is how many dead letters may be replayed per second; 0 means 50.
	ReplayRate float64
	// MaxReplays is how often one message may come back from the dead letters; 0 means 5.
	MaxReplays int
	// Contracts are what messages must look like that operators write, by topic; a topic that is not there has the zero Contract.
	Contracts map[string]Contract
	// Audit records an operator's act before it is done; its failure refuses the act. Nil records nothing.
	Audit func(ctx context.Context, act Act) error
	// Fault injects failures at the points named Point…; nil never fails.
	Fault *fault.Points
}

// Backoff is exponential: the n-th wait is Base·2ⁿ⁻¹, at most Max, of which a random part up to one half is taken off.
type Backoff struct {
	Base time.Duration // 0 means 250 ms
	Max  time.Duration // 0 means 10 s
}

func (b Backoff) delay(n int, r *rand.Rand) time.Duration {
	d := b.Base
	for ; n > 1 && d < b.Max; n-- {
		d *= 2
	}
	d = min(d, b.Max)
	return d - time.Duration(r.Int64N(int64(d)/2+1))
}

// Points where [Options.Fault] may fail a batch, in the order in which a batch passes them.
const (
	// PointHandled is after the handler, before anything is set aside.
	PointHandled = "bus.handled"
	// PointParked is after parking, before the commit.
	PointParked = "bus.parked"
	// PointCommitted is after the commit.
	PointCommitted = "bus.committed"
	// PointRetried is after a parked message was handled, before its fate is recorded.
	PointRetried = "bus.retried"
)

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.MaxRetries < -1 || o.MaxRetries > 3:
		return fmt.Errorf("bus: MaxRetries is %d; allowed are -1 (none) to 3", o.MaxRetries)
	case o.PollLimit < 0 || o.PollLimit > 500:
		return fmt.Errorf("bus: PollLimit is %d; allowed are 1 to 500", o.PollLimit)
	case o.Backoff.Base < 0 || o.Backoff.Max < 0 || (o.Backoff.Max > 0 && o.Backoff.Max < o.Backoff.Base):
		return fmt.Errorf("bus: Backoff is %v to %v; both must be positive, Base not over Max", o.Backoff.Base, o.Backoff.Max)
	case o.ReplayRate < 0:
		return fmt.Errorf("bus: ReplayRate is %v; it must be positive", o.ReplayRate)
	case o.MaxReplays < 0:
		return fmt.Errorf("bus: MaxReplays is %d; it must be positive", o.MaxReplays)
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
	switch o.MaxRetries {
	case 0:
		o.MaxRetries = 3
	case -1:
		o.MaxRetries = 0
	}
	if o.Backoff.Base == 0 {
		o.Backoff.Base = 250 * time.Millisecond
	}
	if o.Backoff.Max == 0 {
		o.Backoff.Max = max(10*time.Second, o.Backoff.Base)
	}
	if o.PollLimit == 0 {
		o.PollLimit = 500
	}
	if o.ReplayRate == 0 {
		o.ReplayRate = 50
	}
	if o.MaxReplays == 0 {
		o.MaxReplays = 5
	}
	return o
}

func (b *Bus) delay(n int) time.Duration {
	b.randMu.Lock()
	defer b.randMu.Unlock()
	return b.opt.Backoff.delay(n, b.rand)
}
