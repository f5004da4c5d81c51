package cache_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/cache"
	"penstock/cache/driver"
	"penstock/cache/memorycache"
	"penstock/cache/rediscache"
	"penstock/engine/redis"
	"penstock/internal/clock"
	"penstock/internal/engines"
)

// origin is what is cached: versions of things, with counts of what it was asked.
type origin struct {
	mu       sync.Mutex
	versions map[string]int
	failing  error
	took     func() // called inside each load, if set

	calls, running, most atomic.Int64
}

type thing struct {
	ID      string
	Version int
}

func newOrigin(ids ...string) *origin {
	o := &origin{versions: map[string]int{}}
	for _, id := range ids {
		o.versions[id] = 1
	}
	return o
}

func (o *origin) load(_ context.Context, id string) (thing, error) {
	o.calls.Add(1)
	n := o.running.Add(1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	defer o.running.Add(-1)
	o.mu.Lock()
	v, ok, failing, took := o.versions[id], o.versions[id] > 0, o.failing, o.took
	o.mu.Unlock()
	if took != nil {
		took()
	}
	switch {
	case failing != nil:
		return thing{}, failing
	case !ok:
		return thing{}, fmt.Errorf("thing %s: %w", id, cache.ErrNotFound)
	}
	return thing{id, v}, nil
}

func (o *origin) set(id string, version int) func(context.Context) error {
	return func(context.Context) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.versions[id] = version
		return nil
	}
}

func (o *origin) fail(err error)       { o.mu.Lock(); o.failing = err; o.mu.Unlock() }
func (o *origin) during(f func())      { o.mu.Lock(); o.took = f; o.mu.Unlock() }
func (o *origin) slow(d time.Duration) { o.during(func() { time.Sleep(d) }) }

func (o *origin) ids(context.Context) iter.Seq2[string, error] {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for id := range o.versions {
		all = append(all, id)
	}
	return func(yield func(string, error) bool) {
		for _, id := range all {
			if !yield(id, nil) {
				return
			}
		}
	}
}

var errOrigin = errors.New("the origin is out")

// skewed is a clock whose time can be moved forward, with timers of the machine.
type skewed struct{ ahead atomic.Int64 }

func (s *skewed) Now() time.Time                       { return time.Now().Add(time.Duration(s.ahead.Load())) }
func (s *skewed) NewTimer(d time.Duration) clock.Timer { return clock.Real{}.NewTimer(d) }
func (s *skewed) forward(d time.Duration)              { s.ahead.Add(int64(d)) }

// instances returns caches as that many processes have them.
func instances(t testing.TB, n int, open func() driver.Driver, o *origin, opt cache.Options[thing]) []*cache.Cache[thing] {
	t.Helper()
	var all []*cache.Cache[thing]
	for range n {
		c, err := cache.New(open(), "shop", "thing", o.load, opt)
		check(t, err)
		check(t, c.Start(t.Context()))
		t.Cleanup(c.Stop)
		all = append(all, c)
	}
	for _, c := range all {
		eventually(t, c.Ready)
	}
	return all
}

// stores names each kind of store, for tests that run on all; c is the clock of the one in memory.
func stores(t testing.TB, c clock.Clock) map[string]func() driver.Driver {
	t.Helper()
	memory, err := memorycache.New(memorycache.Options{Clock: c})
	check(t, err)
	server := engines.Redis(t)
	return map[string]func() driver.Driver{
		"memory": func() driver.Driver { return memory },
		"redis":  func() driver.Driver { return redisStore(t, server.URL(), 5*time.Second) },
	}
}

func memoryStore(t testing.TB) driver.Driver {
	t.Helper()
	s, err := memorycache.New(memorycache.Options{})
	check(t, err)
	return s
}

// redisStore is a store with a client of its own; a busy machine needs more patience than the usual second, 0.
func redisStore(t testing.TB, url string, timeout time.Duration) driver.Driver {
	t.Helper()
	cfg, err := redis.Parse(url)
	check(t, err)
	c, err := redis.Open(context.Background(), cfg, redis.Options{Caching: true, Timeout: timeout})
	check(t, err)
	t.Cleanup(c.Close)
	return rediscache.New(c, rediscache.Options{})
}

// wants gets id and expects the version; 0 stands for ErrNotFound.
func wants(t testing.TB, c *cache.Cache[thing], id string, version int) {
	t.Helper()
	got, err := c.Get(t.Context(), id)
	if version == 0 && errors.Is(err, cache.ErrNotFound) {
		return
	}
	if err != nil || got != (thing{id, version}) {
		t.Fatalf("got %v, %v, want version %d", got, err, version)
	}
}

// crowd calls f n times at once.
func crowd(n int, f func(i int)) {
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() { <-gate; f(i) })
	}
	close(gate)
	all.Wait()
}

func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition did not come true within 10 s")
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
