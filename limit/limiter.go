package limit

import (
	"fmt"
	"hash/maphash"
	"time"

	"penstock/internal/clock"
)

const (
	shardCount = 64
	// sweepStep is how many idle keys a call may sweep: more than the one it may add.
	sweepStep = 2
)

// Options tunes a limiter. The zero value is good.
type Options struct {
	Clock clock.Clock
	// MaxKeys bounds the keys remembered at once; 0 means 131072.
	MaxKeys int
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	if o.MaxKeys < 0 {
		return fmt.Errorf("option MaxKeys is %d: it must be 0 or more", o.MaxKeys)
	}
	return nil
}

// Result is what a limiter says to one call.
type Result struct {
	Allowed bool
	// Remaining is how many more calls are allowed at once now.
	Remaining int
	// Reset is how long until the oldest counted call leaves the window and makes room; 0 if none is counted.
	Reset time.Duration
	// RetryAfter is how long a refused caller has to wait; 0 when allowed.
	RetryAfter time.Duration
}

// Limiter applies one rate to each key on its own.
type Limiter[K comparable] struct {
	rate     Rate
	window   window
	clock    clock.Clock
	base     time.Time
	seed     maphash.Seed
	perShard int
	shards   [shardCount]shard[K]
}

// New returns a limiter of the rate. Options out of range are taken as 0.
func New[K comparable](rate Rate, o Options) *Limiter[K] {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 1 << 17
	}
	return &Limiter[K]{
		rate: rate, window: windowOf(rate), clock: o.Clock, base: o.Clock.Now(), seed: maphash.MakeSeed(),
		perShard: max(1, o.MaxKeys/shardCount),
	}
}

// Rate returns the rate that is applied.
func (l *Limiter[K]) Rate() Rate { return l.rate }

// Take asks for one call of key and counts it if it is allowed.
func (l *Limiter[K]) Take(key K) Result {
	if l.rate.Off() {
		return Result{Allowed: true}
	}
	now := int64(l.clock.Now().Sub(l.base))
	s := &l.shards[maphash.Comparable(l.seed, key)%shardCount]
	s.lock()
	defer s.mu.Unlock()
	now = s.advance(now)
	s.sweep(now-l.window.per, sweepStep)
	i := s.find(key, l.perShard, l.window.cells)
	s.entries[i].touched = now
	return l.window.take(s.cells[int(i)*l.window.cells:][:l.window.cells], now)
}

// Sweep forgets every idle key and returns how many keys are still remembered. Calls sweep as they come; this is for when they
// have stopped coming.
func (l *Limiter[K]) Sweep() int {
	now, left := int64(l.clock.Now().Sub(l.base)), 0
	for i := range l.shards {
		s := &l.shards[i]
		s.lock()
		s.sweep(s.advance(now)-l.window.per, len(s.entries))
		left += len(s.index)
		s.mu.Unlock()
	}
	return left
}
