package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"penstock/internal/clock"
)

// flight is one load that any number of Gets wait for.
type flight struct {
	done chan struct{}
	e    entry
	err  error
}

// load joins the load of key, or starts it.
func (c *Cache[V]) load(ctx context.Context, key Key) (entry, error) {
	f, err := c.join(key)
	if err != nil {
		return entry{}, err
	}
	select {
	case <-f.done:
		return f.e, f.err
	case <-ctx.Done():
		return entry{}, ctx.Err()
	}
}

func (c *Cache[V]) join(key Key) (*flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f, nil
	}
	switch {
	case c.stopped:
		return nil, ErrStopped
	case c.waiting >= c.o.Waiting:
		c.count.busy.Add(1)
		return nil, fmt.Errorf("%w: %d of %s:%s", ErrBusy, c.waiting, c.business, c.module)
	}
	f := &flight{done: make(chan struct{})}
	c.flights[key] = f
	c.waiting++
	c.work.Go(func() { c.fly(key, f) })
	return f, nil
}

// fly loads. What could not be stored stays with its flight for a moment, so that without a store a hot key costs the origin a
// call now and then, not one after the other.
func (c *Cache[V]) fly(key Key, f *flight) {
	var kept bool
	f.e, kept, f.err = c.fetch(key, false)
	c.mu.Lock()
	c.waiting--
	linger := f.err == nil && !kept && c.lingering < c.o.Waiting && c.flights[key] == f && c.o.Alone > 0
	if linger {
		c.lingering++
	} else {
		c.part(key, f)
	}
	c.mu.Unlock()
	close(f.done)
	if !linger {
		return
	}
	wait(c.life, c.o.Clock, c.o.Alone)
	c.mu.Lock()
	c.lingering--
	c.part(key, f)
	c.mu.Unlock()
}

// part lets the next Get start anew. The caller holds mu.
func (c *Cache[V]) part(key Key, f *flight) {
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

// refresh loads key in the background, unless that is happening or has just failed.
func (c *Cache[V]) refresh(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, running := c.refreshing[key]; running || c.stopped || len(c.refreshing) >= c.o.Waiting {
		return
	}
	c.refreshing[key] = struct{}{}
	c.work.Go(func() {
		if _, _, err := c.fetch(key, true); err != nil {
			wait(c.life, c.o.Clock, time.Second)
		}
		c.mu.Lock()
		delete(c.refreshing, key)
		c.mu.Unlock()
	})
}

var errElsewhere = errors.New("somebody else is loading")

// fetch asks the origin and stores the answer under the lease of the key; kept is false if it could not. If the lease is gone
// afterwards, the key was changed meanwhile, and what was read may be old: it is read again, once.
func (c *Cache[V]) fetch(key Key, refreshing bool) (e entry, kept bool, err error) {
	ctx, cancel := context.WithTimeout(c.life, c.o.LoadTimeout)
	defer cancel()
	for again := false; ; again = true {
		token := rand.Text()
		leased, e, found := c.claim(ctx, key, token, refreshing)
		if found {
			return e, true, nil
		}
		if refreshing && !leased {
			return entry{}, false, errElsewhere
		}
		e, err := c.ask(ctx, key)
		if err != nil {
			if leased && !refreshing { // a refresh keeps the lease, so that nobody tries again before it is over
				c.store.abandon(key, token)
			}
			return entry{}, false, err
		}
		if !leased {
			return e, false, nil
		}
		stored, err := c.store.fill(key, token, e)
		if err != nil {
			return e, false, nil //nolint:nilerr // trouble of the store is none of the caller's
		}
		if stored || again {
			return e, true, nil
		}
	}
}

// ask calls the loader in its turn. The answer's times begin when the loader was called.
func (c *Cache[V]) ask(ctx context.Context, key Key) (entry, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return entry{}, c.gaveUp(key, "waited for its turn at the origin")
	}
	began := c.o.Clock.Now()
	c.count.loads.Add(1)
	v, err := c.call(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		soft := began.Add(c.shorten(c.o.Negative))
		return entry{soft: soft, hard: soft, nothing: true}, nil
	case err != nil:
		c.count.loadFailures.Add(1)
		return entry{}, err
	}
	raw, err := c.o.Codec.Encode(v)
	if err != nil {
		return entry{}, fmt.Errorf("encode %s: %w", key, err)
	}
	soft := began.Add(c.shorten(c.o.TTL))
	return entry{soft: soft, hard: soft.Add(c.o.Stale), value: raw}, nil
}

// call keeps a panic of the loader from ending the process: no caller of Get is on this goroutine's stack to recover it.
func (c *Cache[V]) call(ctx context.Context, key Key) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("load %s: panic: %v", key, p)
		}
	}()
	return c.origin(ctx, key.id)
}

func (c *Cache[V]) gaveUp(key Key, what string) error {
	if c.life.Err() != nil {
		return ErrStopped
	}
	return fmt.Errorf("%w: %s %s for %v", ErrBusy, key, what, c.o.LoadTimeout)
}

// claim gets the lease, or what somebody else has stored, or neither: when the store is silent, or when who has the lease takes
// longer than a second, the caller loads for itself. In the second case it is one load more per process, not per Get.
func (c *Cache[V]) claim(ctx context.Context, key Key, token string, refreshing bool) (leased bool, e entry, found bool) {
	if c.unsettled.has(key) {
		return false, entry{}, false
	}
	const patience = time.Second
	until := c.o.Clock.Now().Add(patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		leased, raw, err := c.store.begin(ctx, key, token, c.o.LoadTimeout+c.o.StoreTimeout)
		if err != nil {
			return false, entry{}, false
		}
		if e, ok := c.usable(raw); ok && (c.fresh(e) || !refreshing && !leased) && c.decodes(key, e) {
			if leased {
				c.store.abandon(key, token)
			}
			return false, e, true
		}
		if leased || refreshing || !c.o.Clock.Now().Before(until) {
			return leased, entry{}, false
		}
		if !wait(ctx, c.o.Clock, pause/2+mathrand.N(pause)) {
			return false, entry{}, false
		}
	}
}

// decodes keeps a value that cannot be read from being handed out again and again.
func (c *Cache[V]) decodes(key Key, e entry) bool {
	_, err := c.open(key, e)
	return err == nil || e.nothing
}

// shorten takes a random part of Jitter off d.
func (c *Cache[V]) shorten(d time.Duration) time.Duration {
	return d - time.Duration(c.o.Jitter*mathrand.Float64()*float64(d))
}

// wait returns false if ctx ended first.
func wait(ctx context.Context, c clock.Clock, d time.Duration) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}
