// Package redisgate narrows for all processes together: one Redis script call judges all attempts of a sale that wait in a
// process. It is built over [gate.Memory], which stays the first look and the whole gate whenever Redis is not to be believed.
//
// # What it promises
//
// Redis decides nothing. It can turn an attempt away for now (no free unit, too fast, over the limit as SQL said a moment ago), it
// never says a final no: "sold out" comes from the memory gate, which has it from SQL. An attempt that goes on is marked with its
// key first, and a key that is marked always goes on, so that a retry meets its answer on any process, while the first call is
// in flight as well as after. Any refusal of a user with a mark is subject to the key look-up, and so is any refusal of a
// user of whom [gate.Index] does not say that nothing is bound.
//
// # When it is wrong
//
// Content is believed only under a token that says which build it belongs to, and a sequence that must not be behind what this
// process has seen. Empty, older or foreign content says "unknown": everybody is admitted, one process builds anew from what SQL
// said, and the new build refuses nobody for one attempt deadline. Content that is wrong under the right token (a free count too
// high or too low, a version that SQL never gave) is compared with a snapshot of SQL at least once a second and corrected. So a
// wrong gate turns somebody away, for now and with Retry-After, for at most 1 s (Options.Every) plus the time of one snapshot;
// a limit that SQL told is believed for 1 s; everything else costs only speed.
//
// Gone (refused, silent, slow), Redis costs an attempt at most twice Options.Deadline once; then the breaker is open and nothing
// waits for it until a call in the background succeeded and the content was compared again.
//
// Works on one server, with standbys, and on a cluster: all keys of a sale are in one slot, only the primary is read, and
// everything expires. All methods are safe for concurrent use. DESIGN.md has the keys, the flows and what is not covered.
package redisgate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/engine/redis"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// State says how far Redis is believed.
type State uint8

// States. Gone: the breaker is open. Rebuilding: Redis answers, but some open sale has no content to believe yet.
const (
	Gone State = iota
	Rebuilding
	Ready
)

func (s State) String() string { return [...]string{"gone", "rebuilding", "ready"}[s%3] }

// Call is one call of Redis, for metrics. Batch is the number of attempts of an "admit", of rows of a "push" or a "build".
type Call struct {
	Op    string // admit, push, read, build
	Batch int
	Took  time.Duration
	Err   error
}

// Options tunes a [Gate]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Prefix begins the names of all keys; "" means "penstock:gate:". Two shops on one Redis need two prefixes.
	Prefix string
	// Deadline of a call that attempts wait for; 0 means 50 ms.
	Deadline time.Duration
	// Every is the longest time between two comparisons with SQL; 0 means 1 s.
	Every time.Duration
	// MaxBatch is how many attempts one call judges; 0 means 512, at most 1000.
	MaxBatch int
	// Calls a user may make Per time in one sale; Calls 0 means no limit here. Per 0 means 1 s.
	Calls int
	Per   time.Duration
	// Attempt is the deadline of an attempt; for so long a new build refuses nobody. 0 means 2 s.
	Attempt time.Duration
	// HeldRetry is the Retry-After of stock-held; 0 means 1 s.
	HeldRetry time.Duration
	// OnCall and OnState are told of calls and changes of state. They must be quick.
	OnCall  func(Call)
	OnState func(State)
	// Observe is told of each snapshot of SQL; nil means gate.Memory.Observe. The application names its own where others follow
	// commits too.
	Observe func(stock.Committed)
}

// Validate names the first option that is out of range and sets the defaults.
func (o *Options) Validate() error {
	switch {
	case o.Deadline < 0 || o.Deadline > time.Second:
		return errors.New("redisgate: Deadline must be from 1ms to 1s, for example 50ms")
	case o.MaxBatch < 0 || o.MaxBatch > 1000:
		return errors.New("redisgate: MaxBatch must be from 1 to 1000, for example 512")
	case o.Calls < 0 || o.Per < 0:
		return errors.New("redisgate: Calls and Per must not be negative, for example 1 and 1s")
	case o.Every < 0 || o.Every > time.Second:
		return errors.New("redisgate: Every must be at most 1s")
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Prefix == "" {
		o.Prefix = "penstock:gate:"
	}
	o.Deadline, o.Every = cmp.Or(o.Deadline, 50*time.Millisecond), cmp.Or(o.Every, time.Second)
	o.Per, o.Attempt, o.HeldRetry = cmp.Or(o.Per, time.Second), cmp.Or(o.Attempt, 2*time.Second), cmp.Or(o.HeldRetry, time.Second)
	o.MaxBatch = cmp.Or(o.MaxBatch, 512)
	if o.OnCall == nil {
		o.OnCall = func(Call) {}
	}
	if o.OnState == nil {
		o.OnState = func(State) {}
	}
	return nil
}

// Gate is the gate of one process among several.
type Gate struct {
	*gate.Memory
	redis  *redis.Client
	opt    Options
	lua    scripts
	resync *gate.Resync

	mu    sync.RWMutex
	lanes map[string]*lane
	gone  atomic.Bool
	state atomic.Uint32

	push pushes
	kick chan struct{} // capacity 1: compare now

	life sync.Mutex
	stop context.CancelFunc
	done sync.WaitGroup
}

// Sources is where truth is read. A stock.Stock is one.
type Sources interface {
	gate.Source
	gate.Journal
}

// New returns a stopped gate over mem: it admits what mem admits until Start. Call [Gate.Observe] with every commit.
func New(mem *gate.Memory, client *redis.Client, src Sources, o Options) (*Gate, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	g := &Gate{
		Memory: mem, redis: client, opt: o, lua: newScripts(), lanes: map[string]*lane{}, kick: make(chan struct{}, 1),
		push: newPushes(),
	}
	g.gone.Store(true)
	index := gate.NewIndex(src, o.Every)
	mem.Use(index)
	g.resync = gate.NewResync(mem, src, gate.ResyncOptions{Clock: o.Clock, Logger: o.Logger, Every: o.Every, Observe: o.Observe, Index: index})
	return g, nil
}

// Start reads SQL once, then begins to build and follow. Redis may be away: that is no error.
func (g *Gate) Start(ctx context.Context) error {
	g.life.Lock()
	defer g.life.Unlock()
	if g.stop != nil {
		return errors.New("redisgate: started already")
	}
	if _, err := g.resync.Once(ctx); err != nil {
		return err
	}
	ctx, g.stop = context.WithCancel(context.WithoutCancel(ctx))
	g.done.Go(func() { g.follow(ctx) })
	g.done.Go(func() { g.pushAll(ctx) })
	return nil
}

// Stop ends the following; the gate then is the memory gate. Idempotent, bounded by a few calls of Redis.
func (g *Gate) Stop(context.Context) error {
	g.life.Lock()
	defer g.life.Unlock()
	if g.stop != nil {
		g.stop()
		g.done.Wait()
	}
	g.gone.Store(true)
	return nil
}

// State says how far Redis is believed now.
func (g *Gate) State() State { return State(g.state.Load()) }

// Observe takes over what a commit changed: at once in memory, a moment later in Redis. It belongs into
// stock.Options.OnCommit.
func (g *Gate) Observe(c stock.Committed) {
	g.Memory.Observe(c)
	if len(c.Sales) > 0 {
		g.nudge()
	}
	if !g.gone.Load() {
		g.push.rows(c.Stock)
	}
}

// Admit says whether an attempt may go on to the decision.
func (g *Gate) Admit(ctx context.Context, now time.Time, r *stock.Request) gate.Verdict {
	v := g.Memory.Admit(ctx, now, r)
	switch {
	case v.Say == gate.Refuse && v.Answer.Reason != errs.StockHeld:
		return v
	case g.gone.Load():
		return v
	}
	l := g.lane(r.Sale)
	if l.build.Load() == nil {
		return v
	}
	asks := v.Say != gate.Pass && v.Answer.Reason != errs.StockHeld
	said, ok := l.ask(r, asks)
	if !ok {
		return v
	}
	return g.combine(now, r, v, said)
}

// combine turns what Redis said, beside what memory said, into the verdict. A mark makes every refusal subject to the look-up.
func (g *Gate) combine(now time.Time, r *stock.Request, mem gate.Verdict, s said) gate.Verdict {
	v := gate.Verdict{Say: gate.Ask, Answer: stock.Answer{State: stock.Lost, SKU: s.sku}}
	switch s.letter {
	case 'p':
		return gate.Verdict{}
	case 'r':
		return gate.Verdict{Say: gate.Replay}
	case 't':
		v.Answer.Reason, v.Answer.RetryAfter = errs.QuotaExceeded, time.Duration(s.number)*time.Millisecond
	case 'l':
		v.Answer.Reason, v.Answer.Left = errs.LimitReached, s.number
	case 'h':
		v.Answer.Reason, v.Answer.RetryAfter = errs.StockHeld, g.opt.HeldRetry
	case 'e':
		v.Answer.Reason, v.Answer.Left, v.Answer.RetryAfter = errs.NotEnoughLeft, s.number, g.opt.HeldRetry
	default:
		return mem
	}
	if !s.marked && g.Nothing(now, r.Sale, r.User, nil) {
		v.Say = gate.Refuse
	}
	return v
}

// Done is told what became of an admitted attempt: a limit that SQL told is worth telling the other processes.
func (g *Gate) Done(r *stock.Request, a *stock.Answer) {
	if a.State == stock.Lost && a.Reason == errs.LimitReached && a.Attempt != nil && !g.gone.Load() {
		g.push.limit(limit{r.Sale, hash(r.User), a.SKU, a.Left})
	}
}

func (g *Gate) lane(sale string) *lane {
	g.mu.RLock()
	l := g.lanes[sale]
	g.mu.RUnlock()
	if l != nil {
		return l
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l = g.lanes[sale]; l == nil {
		l = newLane(g, sale)
		g.lanes[sale] = l
	}
	return l
}

// lost opens the breaker: nobody waits for Redis until a comparison in the background went well.
func (g *Gate) lost(err error) {
	if !g.gone.Swap(true) {
		g.opt.Logger.Warn("redis is gone; the sale goes on with the memory gate", "error", err.Error())
		g.setState(Gone)
	}
	g.nudge()
}

func (g *Gate) nudge() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

func (g *Gate) setState(s State) {
	if State(g.state.Swap(uint32(s))) != s {
		g.opt.OnState(s)
	}
}

// active reports a sale that attempts may still come for.
func active(doc *driver.Sale, now time.Time) bool { return now.Before(doc.EndsAt.Add(time.Hour)) }

// Believes reports whether the content for a sale is believed now.
func (g *Gate) Believes(sale string) bool { return !g.gone.Load() && g.lane(sale).build.Load() != nil }
