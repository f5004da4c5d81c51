package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/cache"
	"penstock/cache/driver"
	"penstock/cache/memorycache"
	"penstock/internal/clock"
	"penstock/internal/engines"
)

// Ten thousand Gets at once on three instances cost the origin at most two calls per instance: when nothing is cached, when the
// TTL is over, and when even the stale value is.
func TestHotKeyCostsTheOriginFewCalls(t *testing.T) {
	t.Parallel()
	c := &skewed{}
	for name, open := range stores(t, c) {
		t.Run(name, func(t *testing.T) { // one after the other: they share the clock
			const n, readers = 3, 10_000 / scale
			o := newOrigin("hot")
			o.slow(20 * time.Millisecond)
			all := instances(t, n, open, o, cache.Options[thing]{Clock: c, Jitter: -1, StoreTimeout: 5 * time.Second})
			for _, wave := range []struct {
				when    string
				forward time.Duration
			}{{"cold", 0}, {"warm", 0}, {"TTL over", cache.TTLHot + time.Second}, {"stale over", 3 * cache.TTLHot}} {
				c.forward(wave.forward)
				before := o.calls.Load()
				crowd(readers, func(i int) { wants(t, all[i%n], "hot", 1) })
				eventually(t, func() bool { return all[0].Idle() && all[1].Idle() && all[2].Idle() })
				calls := o.calls.Load() - before
				t.Logf("%s, %s: %d origin calls for %d Gets on %d instances", name, wave.when, calls, readers, n)
				if calls > 2*n || (calls == 0) != (wave.when == "warm") {
					t.Errorf("%s: %d origin calls, want 1 to %d (none when warm)", wave.when, calls, 2*n)
				}
			}
		})
	}
}

// Of a million ids that do not exist, less than one in a hundred reaches the origin; every id that exists is found.
func TestMissingIdsDoNotReachTheOrigin(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 20_000 {
		ids = append(ids, fmt.Sprint("real-", i))
	}
	for name, missing := range map[string]int{"memory": 1_000_000 / scale, "redis": 20_000 / scale} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(ids...)
			c := instances(t, 1, stores(t, nil)[name], o, cache.Options[thing]{IDs: o.ids, StoreTimeout: 5 * time.Second})[0]
			const workers = 16
			crowd(workers, func(w int) {
				for i := w; i < missing; i += workers {
					if _, err := c.Get(t.Context(), fmt.Sprint("none-", i)); !errors.Is(err, cache.ErrNotFound) {
						t.Errorf("missing id: %v", err)
						return
					}
				}
			})
			calls := o.calls.Load()
			t.Logf("%s: %d of %d missing ids reached the origin", name, calls, missing)
			if calls*100 >= int64(missing) {
				t.Errorf("%d of %d missing ids reached the origin, want < 1 %%", calls, missing)
			}
			for _, id := range ids[:1000] {
				wants(t, c, id, 1)
			}
		})
	}
}

// Without a filter, one id that does not exist costs no more than one that does.
func TestMissingIdIsRemembered(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin()
			all := instances(t, 3, open, o, cache.Options[thing]{})
			crowd(3000, func(i int) { wants(t, all[i%3], "nobody", 0) })
			if n := o.calls.Load(); n > 6 {
				t.Errorf("%d origin calls, want at most 6", n)
			}
		})
	}
}

// A hundred thousand keys loaded at one moment with one TTL expire spread out: in no tenth of a second does the origin get a
// multiple of the mean.
func TestKeysLoadedTogetherDoNotExpireTogether(t *testing.T) {
	t.Parallel()
	const keys, ttl, step = 100_000 / scale, 20 * time.Second, 100 * time.Millisecond
	ids := make([]string, keys)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	o, now := newOrigin(ids...), clock.NewFake(time.Unix(1e9, 0))
	store, err := memorycache.New(memorycache.Options{Clock: now, Bytes: 256 << 20})
	check(t, err)
	c, err := cache.New(store, "shop", "thing", o.load, cache.Options[thing]{Clock: now, TTL: ttl, LoadTimeout: time.Minute})
	check(t, err)
	t.Cleanup(c.Stop)
	read := func(from, by int) {
		crowd(8, func(w int) {
			for i := from + w*by; i < keys; i += 8 * by {
				if _, err := c.Get(t.Context(), ids[i]); err != nil {
					t.Error(err)
					return
				}
			}
		})
		eventually(t, c.Idle)
	}
	read(0, 1)
	if n := o.calls.Load(); n != keys {
		t.Fatalf("%d origin calls to load %d keys", n, keys)
	}
	now.Advance(ttl * 3 / 4)
	var sum, most int64
	buckets := int(ttl / 4 / step)
	for i := range buckets + 20 {
		now.Advance(step)
		before := o.calls.Load()
		read(i%20, 20) // each key is read every other second
		n := o.calls.Load() - before
		sum, most = sum+n, max(most, n)
	}
	mean := sum / int64(buckets)
	t.Logf("origin calls in %d tenths of a second: mean %d, most %d", buckets, mean, most)
	if sum < keys*95/100 || most > 3*mean {
		t.Errorf("%d of %d keys expired, mean %d a bucket, most %d, want most at most three times the mean", sum, keys, mean, most)
	}
}

// Redis is flushed, frozen, killed and back empty while three instances read and write: each answer is right, the origin is never
// asked by more than it allows, and afterwards the cache serves again.
func TestRedisLossUnderLoad(t *testing.T) {
	t.Parallel()
	const n, loads, keys = 3, 4, 200
	server := engines.Redis(t, "--appendonly", "no")
	var ids []string
	for i := range keys {
		ids = append(ids, fmt.Sprint(i))
	}
	o := newOrigin(ids...)
	o.slow(time.Millisecond)
	all := instances(t, n, func() driver.Driver { return redisStore(t, server.URL(), 0) }, o, cache.Options[thing]{Loads: loads, IDs: o.ids})
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	var answers atomic.Int64
	for w := range 24 {
		readers.Go(func() {
			own, version := fmt.Sprint("own-", w), 1
			for c := all[w%n]; ctx.Err() == nil; answers.Add(1) {
				id := ids[rand.N(keys)]
				if got, err := c.Get(ctx, id); ctx.Err() == nil && (err != nil || got != (thing{id, 1})) {
					t.Errorf("%s: got %v, %v", id, got, err)
				}
				if rand.N(20) == 0 { // what one instance writes, it reads, whatever Redis does
					version++
					err := c.Write(ctx, own, o.set(own, version))
					if got, readErr := c.Get(ctx, own); ctx.Err() == nil && (errors.Join(err, readErr) != nil || got.Version != version) {
						t.Errorf("%s: got %v, %v after version %d was written, %v", own, got, readErr, version, err)
					}
				}
			}
		})
	}
	more := func() { // the load goes on in whatever state Redis is
		before := answers.Load()
		eventually(t, func() bool { return answers.Load() > before+500 })
	}
	host, port, _ := strings.Cut(server.Addr(), ":")
	for _, fault := range []func(){
		func() {},
		func() { check(t, exec.Command("redis-cli", "-h", host, "-p", port, "flushall").Run()) },
		func() { server.Pause(t) },
		func() { server.Resume(t) },
		func() { server.Kill(t) },
		func() { server.Start(t) },
	} {
		fault()
		more()
	}
	eventually(t, func() bool { // served from the cache again
		before := all[0].Stats()
		more()
		after := all[0].Stats()
		return after.Hits-before.Hits > 4*(after.Loads-before.Loads) && after.Unsettled == 0
	})
	stop()
	readers.Wait()
	t.Logf("%d answers, %d origin calls, at most %d at once", answers.Load(), o.calls.Load(), o.most.Load())
	if most := o.most.Load(); most > n*loads {
		t.Errorf("%d loads at once, want at most %d", most, n*loads)
	}
}

// What one instance writes, the others see, though each has the old value near by.
func TestWriteIsSeenByAll(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin("a")
			all := instances(t, 3, open, o, cache.Options[thing]{})
			var slowest time.Duration
			for version := 2; version < 100; version++ {
				for _, c := range all {
					_, err := c.Get(t.Context(), "a")
					check(t, err)
				}
				check(t, all[version%3].Write(t.Context(), "a", o.set("a", version)))
				wants(t, all[version%3], "a", version)
				written := time.Now()
				for _, c := range all {
					eventually(t, func() bool { v, err := c.Get(t.Context(), "a"); return err == nil && v.Version == version })
				}
				slowest = max(slowest, time.Since(written))
			}
			t.Logf("%s: seen by all within %v", name, slowest)
			if n := o.calls.Load(); n > 99*6 {
				t.Errorf("%d origin calls for 99 versions, want at most 6 each", n)
			}
		})
	}
}
