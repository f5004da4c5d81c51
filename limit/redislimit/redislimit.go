// Package redislimit counts calls for all instances together in one Redis: a script judges all calls that wait in a process at
// once, each in all its counters or in none.
//
// Counts are exact: what several instances allow together is what one alone would. Time is that of Redis, kept steady against
// steps of its clock. Every key is written together with its expiry. All counters are in one slot, so that on a cluster one node
// has them.
//
// Gone (refused, silent, slower than Options.Deadline), Redis costs a call at most twice the deadline once; then calls fail at once
// until a call in the background succeeded. Whoever asks then decides alone, with an n-th: [Redis.Instances] is how many were seen
// last. DESIGN.md of package limit says how wrong that can be. Safe for concurrent use.
package redislimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/engine/redis"
	"penstock/internal/clock"
	"penstock/limit/driver"
)

// ErrGone says that Redis does not answer; nothing was counted.
var ErrGone = errors.New("redislimit: redis is gone")

// Call is one call of Redis, for metrics. Batch is how many calls it judged; 0 is a beat.
type Call struct {
	Batch int
	Took  time.Duration
	Err   error
}

// Prefix begins the names of the keys where none is set.
const Prefix = "penstock:limit:"

// Options tunes a [Redis]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Prefix begins the names of all keys; "" means "penstock:limit:". Two shops on one Redis need two prefixes.
	Prefix string
	// Deadline of a call that callers wait for; 0 means 50 ms.
	Deadline time.Duration
	// Every is how often an instance says that it is there; 0 means 1 s. Who does not for five times that is not counted.
	Every time.Duration
	// Instances is how many instances there are at least, also before Redis was seen; 0 means 1.
	Instances int
	// MaxBatch is how many calls one script judges; 0 means 256, at most 1000.
	MaxBatch int
	// Margin is how long a counter is kept beyond its use: a wall clock of Redis set ahead by no more loses none. 0 means 2 min.
	Margin time.Duration
	// OnCall is told of each call of Redis. It must be quick.
	OnCall func(Call)
}

// Validate names the first option that is out of range.
func (o Options) Validate() error {
	switch {
	case o.Deadline < 0 || o.Deadline > time.Second:
		return errors.New("redislimit: Deadline must be from 1ms to 1s, for example 50ms")
	case o.Every < 0 || o.Every > time.Minute:
		return errors.New("redislimit: Every must be at most 1m, for example 1s")
	case o.Instances < 0 || o.Instances > 10000:
		return errors.New("redislimit: Instances must be from 1 to 10000")
	case o.MaxBatch < 0 || o.MaxBatch > 1000:
		return errors.New("redislimit: MaxBatch must be from 1 to 1000, for example 256")
	case o.Margin < 0 || o.Margin > 24*time.Hour:
		return errors.New("redislimit: Margin must be at most 24h, for example 2m")
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
	if o.Prefix == "" {
		o.Prefix = Prefix
	}
	if o.OnCall == nil {
		o.OnCall = func(Call) {}
	}
	o.Deadline, o.Every, o.Margin = cmp.Or(o.Deadline, 50*time.Millisecond), cmp.Or(o.Every, time.Second), cmp.Or(o.Margin, 2*time.Minute)
	o.Instances, o.MaxBatch = cmp.Or(o.Instances, 1), cmp.Or(o.MaxBatch, 256)
	return o
}

// Redis counts in one Redis. Start it before it is of use.
type Redis struct {
	client *redis.Client
	opt    Options
	lua    scripts
	id     string
	base   string // of the names of keys
	start  time.Time
	lane   lane
	gone   atomic.Bool
	seen   atomic.Int64 // instances
	sent   atomic.Int64 // when the last call that was answered was sent, after start; 0 is never

	life sync.Mutex
	stop context.CancelFunc
	done sync.WaitGroup
	kick chan struct{} // capacity 1: beat soon
}

var _ driver.Driver = (*Redis)(nil)

// New returns a stopped driver, whose calls fail until Start. It does not own the client.
func New(client *redis.Client, o Options) (*Redis, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	r := &Redis{client: client, opt: o, lua: newScripts(), id: rand.Text(), base: o.Prefix + "{limit}:", start: o.Clock.Now(), kick: make(chan struct{}, 1)}
	r.lane.r = r
	r.gone.Store(true)
	return r, nil
}

// Start says that this instance is there and keeps saying so. Redis may be away: that is no error.
func (r *Redis) Start(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stop != nil {
		return errors.New("redislimit: started already")
	}
	r.beat(ctx)
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done.Go(func() { r.keepBeating(ctx) })
	return nil
}

// Stop takes this instance off the list; calls fail from then on. Idempotent, bounded by a few deadlines.
func (r *Redis) Stop(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.done.Wait()
	if r.gone.Swap(true) {
		return nil
	}
	if c, err := r.client.Redis(); err == nil {
		ctx, cancel := context.WithTimeout(ctx, r.opt.Deadline)
		defer cancel()
		_ = c.Do(ctx, c.B().Zrem().Key(r.base+"instances").Member(r.id).Build()).Error() // it runs out by itself
	}
	return nil
}

// Gone reports that calls fail at once.
func (r *Redis) Gone() bool { return r.gone.Load() }

// Instances is how many instances were there when Redis was last seen, and at least Options.Instances.
func (r *Redis) Instances() int { return max(int(r.seen.Load()), r.opt.Instances) }

func (r *Redis) keepBeating(ctx context.Context) {
	for {
		every := r.opt.Every
		if r.gone.Load() {
			every /= 10
		}
		timer := r.opt.Clock.NewTimer(every)
		select {
		case <-timer.C():
		case <-r.kick:
			timer.Stop()
			if r.gone.Load() { // not at once: what has just failed would fail again
				timer = r.opt.Clock.NewTimer(every / 10)
				select {
				case <-timer.C():
				case <-ctx.Done():
				}
			}
		case <-ctx.Done():
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		r.beat(ctx)
	}
}

// beat renews the place of this instance on the list and finds out whether Redis answers.
func (r *Redis) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Deadline)
	defer cancel()
	start := r.opt.Clock.Now()
	n, err := r.exec(ctx, r.lua.beat, []string{r.base + "clock", r.base + "instances"}, []string{r.id, num((5 * r.opt.Every).Microseconds())}).AsInt64()
	r.opt.OnCall(Call{Took: r.opt.Clock.Now().Sub(start), Err: err})
	if err != nil {
		r.lost(err)
		return
	}
	r.seen.Store(n)
	if r.gone.Swap(false) {
		r.opt.Logger.Info("redis counts the limits", "instances", n)
	}
}

// lost opens the breaker: nobody waits for Redis until a beat went well.
func (r *Redis) lost(err error) {
	if r.gone.Swap(true) {
		return
	}
	r.opt.Logger.Warn("redis is gone; each instance counts its share of the limits", "instances", r.Instances(), "error", err.Error())
	select {
	case r.kick <- struct{}{}:
	default:
	}
}
