// Package cache keeps what an origin says, typed, under keys business:module:id, so that a stampede of readers costs the origin a
// few calls.
//
// The origin is right, the cache only saves time: a store that fails, forgets or falls back in time never makes a Get fail, and
// what it says is believed for one TTL (and Stale) at most. For each kind of stampede there is one guard:
//
//   - a hot key that is missing: one load per key and process, and by a short lease in the store about one in all;
//   - a hot key that expires: the old value is served while one loads;
//   - ids that do not exist: a Bloom filter of all ids, and "not found" kept for a short while;
//   - many keys that expire together: each TTL is shortened by a random part;
//   - a store that is gone: loads run at most Loads at once, and no more than Waiting wait for them.
//
// Without a store each process still serves what it loaded for a moment (Alone), so that hot keys do not fall on the origin whole.
//
// After a change of the origin its writer drops the entry ([Cache.Write], [Cache.Invalidate]); a load that was under way then
// cannot store what it read. This process sees the change from then on, others within moments. A Get that overlaps a write may
// return either value.
//
// Everything is safe for concurrent use. Values are decoded for each Get, so that callers share nothing. Clocks of processes that
// share a store may differ by little compared with the TTL. DESIGN.md says why it is built this way.
package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"penstock/cache/driver"
)

// Errors that callers compare with errors.Is.
var (
	// ErrNotFound is what a loader returns for an id that does not exist, and what Get returns then. Only this is remembered as
	// "nothing there"; any other error of a loader is handed to who waits and forgotten.
	ErrNotFound = errors.New("not found")
	// ErrKey says that a key is malformed.
	ErrKey = errors.New("cache key is malformed")
	// ErrBusy says that too many loads are waiting for the origin. Nothing was executed.
	ErrBusy = errors.New("too many loads are waiting for the origin")
	// ErrStopped says that the cache was stopped.
	ErrStopped = errors.New("cache is stopped")
	// ErrUnsettled says that the store could not be told of a change yet.
	ErrUnsettled = errors.New("the cache store could not be told of the change yet")
)

// Loader asks the origin. Its context is not the caller's: it lives until LoadTimeout or Stop, because others wait for the same.
// It must end when its context does, and returns ErrNotFound, perhaps wrapped, if and only if the id does not exist. A panic is
// an error like others.
type Loader[V any] func(ctx context.Context, id string) (V, error)

// Cache keeps the values of one module. Start it, for its filter and its retries; Stop it.
type Cache[V any] struct {
	business, module string
	origin           Loader[V]
	o                Options[V]
	store            *store
	filter           *filter
	unsettled        unsettled
	slots            chan struct{} // one for each call of the loader

	mu         sync.Mutex
	flights    map[Key]*flight
	refreshing map[Key]struct{}
	waiting    int // flights that have not landed
	lingering  int // flights that have landed and are kept
	started    bool
	stopped    bool
	work       sync.WaitGroup
	life       context.Context
	end        context.CancelFunc
	count      counters
}

// New returns a cache of what origin says of business:module. It starts nothing. Its errors name the field and a valid example.
func New[V any](d driver.Driver, business, module string, origin Loader[V], o Options[V]) (*Cache[V], error) {
	if err := checkSpace(business, module); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	c := &Cache[V]{
		business: business, module: module, origin: origin, o: o, slots: make(chan struct{}, o.Loads),
		flights: map[Key]*flight{}, refreshing: map[Key]struct{}{},
	}
	c.store = &store{driver: d, clock: o.Clock, timeout: o.StoreTimeout, failed: &c.count.storeFailures}
	c.unsettled.keys = map[Key]uint64{}
	if o.IDs != nil {
		c.filter = newFilter(c.store, business+":"+module, o.IDs, filterOptions{o.FilterAge, o.FalsePositives, o.Clock})
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Get returns the value of id, from the cache or else the origin. Errors: ErrNotFound, ErrKey, ErrBusy, ErrStopped, the context's,
// or the loader's. Trouble of the store is none.
func (c *Cache[V]) Get(ctx context.Context, id string) (V, error) {
	key, err := NewKey(c.business, c.module, id)
	if err != nil {
		return *new(V), err
	}
	if c.filter != nil && !c.filter.mayHave(ctx, id) {
		c.count.filtered.Add(1)
		return *new(V), c.notFound(key)
	}
	if e, ok := c.look(ctx, key); ok {
		v, err := c.open(key, e)
		if err == nil || errors.Is(err, ErrNotFound) {
			c.count.hits.Add(1)
			if !c.fresh(e) {
				c.count.stale.Add(1)
				c.refresh(key)
			}
			return v, err
		}
	}
	c.count.misses.Add(1)
	e, err := c.load(ctx, key)
	if err != nil {
		return *new(V), err
	}
	return c.open(key, e)
}

// Write runs f, which changes or creates id at the origin, and drops what is cached of it, whatever f returns: an unknown outcome
// may be a change. It returns f's error only; if the store cannot be told, see Invalidate.
func (c *Cache[V]) Write(ctx context.Context, id string, f func(context.Context) error) error {
	key, err := NewKey(c.business, c.module, id)
	if err != nil {
		return err
	}
	if c.filter != nil {
		if err := c.filter.mark(ctx, id); err != nil {
			c.unsettled.add(key)
		}
	}
	err = f(ctx)
	_ = c.drop(context.WithoutCancel(ctx), key) // kept and tried again
	return err
}

// Invalidate drops what is cached of the ids. Call it after the change at the origin is committed. ErrUnsettled says that the
// store did not answer: this process uses nothing of these ids from the store and tries again until it is told, while others may
// see the old value for as long as its TTL and Stale.
func (c *Cache[V]) Invalidate(ctx context.Context, ids ...string) error {
	var failed []error
	for _, id := range ids {
		key, err := NewKey(c.business, c.module, id)
		if err == nil {
			err = c.drop(ctx, key)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// drop also parts from a load that is under way here: it may have read what was before.
func (c *Cache[V]) drop(ctx context.Context, key Key) error {
	change := c.unsettled.add(key)
	c.mu.Lock()
	delete(c.flights, key)
	c.mu.Unlock()
	if err := c.store.drop(ctx, key); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsettled, key, err)
	}
	c.unsettled.remove(key, change)
	return nil
}

// look returns what the store has and may still be served. Trouble is a miss.
func (c *Cache[V]) look(ctx context.Context, key Key) (entry, bool) {
	if c.unsettled.has(key) {
		return entry{}, false
	}
	raw, err := c.store.get(ctx, key)
	if err != nil {
		return entry{}, false
	}
	return c.usable(raw)
}

func (c *Cache[V]) usable(raw []byte) (entry, bool) {
	e, ok := parse(raw)
	return e, ok && c.o.Clock.Now().Before(e.hard)
}

func (c *Cache[V]) fresh(e entry) bool { return c.o.Clock.Now().Before(e.soft) }

// open returns the value, ErrNotFound, or the codec's error.
func (c *Cache[V]) open(key Key, e entry) (V, error) {
	if e.nothing {
		return *new(V), c.notFound(key)
	}
	v, err := c.o.Codec.Decode(e.value)
	if err != nil {
		return v, fmt.Errorf("decode %s: %w", key, err)
	}
	return v, nil
}

func (c *Cache[V]) notFound(key Key) error { return fmt.Errorf("%w: %s", ErrNotFound, key) }

// Start begins to build the filter and to retry what the store was not told, in the background. It does not wait for the filter:
// without one nobody is turned away. See Ready.
func (c *Cache[V]) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return ErrStopped
	}
	if !c.started {
		c.started = true
		c.work.Go(func() { c.retry(c.life) })
		if c.filter != nil {
			c.work.Go(func() { c.filter.tend(c.life) })
		}
	}
	return nil
}

// Ready reports whether there is a filter that may be believed, or none is wanted.
func (c *Cache[V]) Ready() bool { return c.filter == nil || c.filter.current() != nil }

// Stop ends loads and background work and returns when they have ended. Idempotent.
func (c *Cache[V]) Stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.end()
	c.work.Wait()
}

const retryPause = 200 * time.Millisecond

// retry tells the store what it could not be told.
func (c *Cache[V]) retry(ctx context.Context) {
	for wait(ctx, c.o.Clock, retryPause) {
		for key := range c.unsettled.all() {
			if c.filter != nil && c.filter.mark(ctx, key.id) != nil {
				break
			}
			if c.drop(ctx, key) != nil {
				break
			}
		}
	}
}
