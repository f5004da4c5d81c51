package cache_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/cache"
	"penstock/cache/driver"
	"penstock/cache/memorycache"
)

// While the origin fails, what was cached is served until the end of Stale, and the origin is tried seldom; then its error comes
// through. An error is never remembered.
func TestStaleIsServedWhileTheOriginFails(t *testing.T) {
	t.Parallel()
	c := &skewed{}
	for name, open := range stores(t, c) {
		t.Run(name, func(t *testing.T) {
			c.ahead.Store(0)
			o := newOrigin("a")
			one := instances(t, 1, open, o, cache.Options[thing]{Clock: c})[0]
			wants(t, one, "a", 1)
			check(t, o.set("a", 2)(t.Context())) // behind the cache's back
			o.fail(errOrigin)
			c.forward(cache.TTLHot + time.Second)
			before := o.calls.Load()
			for range 2000 {
				wants(t, one, "a", 1)
			}
			if n := o.calls.Load() - before; n > 2 {
				t.Errorf("a failing origin was called %d times in 2000 stale hits, want at most 2", n)
			}
			c.forward(cache.TTLHot)
			if _, err := one.Get(t.Context(), "a"); !errors.Is(err, errOrigin) {
				t.Errorf("after the stale time: %v, want the origin's error", err)
			}
			o.fail(nil)
			wants(t, one, "a", 2)
		})
	}
}

// An expired value is served at once, and its successor soon after.
func TestStaleIsReplacedInTheBackground(t *testing.T) {
	t.Parallel()
	c := &skewed{}
	o := newOrigin("a")
	one := instances(t, 1, stores(t, c)["redis"], o, cache.Options[thing]{Clock: c})[0]
	wants(t, one, "a", 1)
	check(t, o.set("a", 2)(t.Context()))
	c.forward(cache.TTLHot + time.Second)
	wants(t, one, "a", 1)
	eventually(t, func() bool { v, err := one.Get(t.Context(), "a"); return err == nil && v.Version == 2 })
}

// A load that began before a write cannot put the old value back, and who asks after the write does not get it either.
func TestSlowLoadCannotUndoAWrite(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin("a")
			all := instances(t, 2, open, o, cache.Options[thing]{})
			reading, goOn := make(chan struct{}), make(chan struct{})
			var once atomic.Bool
			o.during(func() {
				if once.CompareAndSwap(false, true) {
					close(reading)
					<-goOn
				}
			})
			slow := make(chan struct{})
			go func() {
				_, _ = all[0].Get(t.Context(), "a") // overlaps the write: either value is right
				close(slow)
			}()
			<-reading // the old version has been read
			check(t, all[1].Write(t.Context(), "a", o.set("a", 2)))
			wants(t, all[1], "a", 2)
			close(goOn)
			<-slow
			for _, c := range all {
				wants(t, c, "a", 2)
			}
		})
	}
}

// What is created is found at once by who created it and soon by all, though it was asked for before and no filter knows it.
func TestCreatedIdIsFound(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin("a")
			all := instances(t, 3, open, o, cache.Options[thing]{IDs: o.ids})
			for _, id := range []string{"b", "c", "d"} {
				for _, c := range all {
					wants(t, c, id, 0)
				}
				check(t, all[0].Write(t.Context(), id, o.set(id, 1)))
				wants(t, all[0], id, 1)
				for _, c := range all {
					eventually(t, func() bool { v, err := c.Get(t.Context(), id); return err == nil && v.Version == 1 })
				}
			}
		})
	}
}

// A store that forgot the marks of new ids is noticed: the filters are not believed until they were read again.
func TestForgottenMarksOpenTheFilter(t *testing.T) {
	t.Parallel()
	store := memoryStore(t)
	o := newOrigin("a")
	all := instances(t, 2, func() driver.Driver { return store }, o, cache.Options[thing]{IDs: o.ids})
	check(t, all[0].Write(t.Context(), "b", o.set("b", 1)))
	store.(*memorycache.Store).Flush()
	for _, c := range all {
		wants(t, c, "b", 1)
	}
	eventually(t, func() bool { return all[0].Ready() && all[1].Ready() })
	wants(t, all[1], "never", 0)
	eventually(t, func() bool { _, _ = all[1].Get(t.Context(), "never-2"); return all[1].Stats().Filtered > 0 })
}

// A filter that has grown too old is not believed, and read again in time.
func TestOldFilterIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := &skewed{}
	o := newOrigin("a")
	store := memoryStore(t)
	one, err := cache.New(store, "shop", "thing", o.load, cache.Options[thing]{IDs: o.ids, Clock: c, FilterAge: time.Hour})
	check(t, err)
	if one.Ready() {
		t.Error("ready without a filter")
	}
	check(t, one.Start(t.Context()))
	t.Cleanup(one.Stop)
	eventually(t, one.Ready)
	wants(t, one, "b", 0)
	check(t, o.set("b", 1)(t.Context())) // not by Write
	c.forward(time.Hour)
	if one.Ready() {
		t.Error("ready with a filter of an hour ago")
	}
	wants(t, one, "b", 1)
}

// Loads beyond what may wait are refused as busy, and nothing is left behind; panics of a loader are errors.
func TestTooManyLoadsAreRefused(t *testing.T) {
	t.Parallel()
	o := newOrigin()
	goOn := make(chan struct{})
	o.during(func() { <-goOn })
	one := instances(t, 1, func() driver.Driver { return memoryStore(t) }, o, cache.Options[thing]{Loads: 2, Waiting: 10})[0]
	var busy, missing atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		crowd(100, func(i int) {
			switch _, err := one.Get(t.Context(), strings.Repeat("x", i+1)); {
			case errors.Is(err, cache.ErrBusy):
				busy.Add(1)
			case errors.Is(err, cache.ErrNotFound):
				missing.Add(1)
			default:
				t.Error(err)
			}
		})
	}()
	eventually(t, func() bool { return busy.Load() == 90 })
	close(goOn)
	<-done
	if missing.Load() != 10 || o.most.Load() != 2 {
		t.Errorf("%d loaded, at most %d at once, want 10 and 2", missing.Load(), o.most.Load())
	}
	o.during(func() { panic("the loader is broken") })
	if _, err := one.Get(t.Context(), "new"); err == nil || !strings.Contains(err.Error(), "the loader is broken") {
		t.Errorf("a panic came out as %v", err)
	}
}

// One who gives up does not take the answer from the others.
func TestCallersContextIsItsOwn(t *testing.T) {
	t.Parallel()
	o := newOrigin("a")
	reading, goOn := make(chan struct{}), make(chan struct{})
	o.during(func() { close(reading); <-goOn })
	one := instances(t, 1, func() driver.Driver { return memoryStore(t) }, o, cache.Options[thing]{})[0]
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { _, err := one.Get(ctx, "a"); gaveUp <- err }()
	<-reading
	patient := make(chan error)
	go func() { _, err := one.Get(t.Context(), "a"); patient <- err }()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(goOn)
	check(t, <-patient)
	if n := o.calls.Load(); n != 1 {
		t.Errorf("%d origin calls, want 1", n)
	}
}

// Stop ends loads and leaves no goroutine; afterwards Get says so.
func TestStopLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	o := newOrigin("a", "b")
	one, err := cache.New(memoryStore(t), "shop", "thing", func(ctx context.Context, id string) (thing, error) {
		if id == "b" {
			<-ctx.Done()
			return thing{}, ctx.Err()
		}
		return o.load(ctx, id)
	}, cache.Options[thing]{IDs: o.ids})
	check(t, err)
	check(t, one.Start(context.Background()))
	if _, err := one.Get(context.Background(), "a"); err != nil {
		t.Error(err)
	}
	hanging := make(chan error)
	go func() { _, err := one.Get(context.Background(), "b"); hanging <- err }()
	eventually(t, func() bool { return !one.Idle() })
	one.Stop()
	one.Stop()
	if err := <-hanging; err == nil {
		t.Error("a load that was ended says it succeeded")
	}
	if _, err := one.Get(context.Background(), "c"); !errors.Is(err, cache.ErrStopped) && !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("after Stop: %v", err)
	}
	if err := one.Start(context.Background()); !errors.Is(err, cache.ErrStopped) {
		t.Errorf("Start after Stop: %v", err)
	}
}

// A value that the codec cannot read, of another release perhaps, is a miss and is replaced.
func TestUnreadableValueIsAMiss(t *testing.T) {
	t.Parallel()
	store := memoryStore(t)
	old, err := cache.New(store, "shop", "thing", func(context.Context, string) (string, error) { return "of another form", nil }, cache.Options[string]{})
	check(t, err)
	t.Cleanup(old.Stop)
	_, err = old.Get(t.Context(), "a")
	check(t, err)
	o := newOrigin("a")
	one := instances(t, 1, func() driver.Driver { return store }, o, cache.Options[thing]{})[0]
	for range 3 {
		wants(t, one, "a", 1)
	}
	if n := o.calls.Load(); n != 1 {
		t.Errorf("%d origin calls, want 1", n)
	}
}

// Callers share nothing: who changes what he got changes nobody else's.
func TestValuesAreNotShared(t *testing.T) {
	t.Parallel()
	c, err := cache.New(memoryStore(t), "shop", "list", func(context.Context, string) ([]int, error) { return []int{1, 2}, nil }, cache.Options[[]int]{})
	check(t, err)
	t.Cleanup(c.Stop)
	for range 3 {
		v, err := c.Get(t.Context(), "a")
		if err != nil || v[0] != 1 {
			t.Fatal(v, err)
		}
		v[0] = 9
	}
}

// Options out of range are refused by name, with a valid example.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]cache.Options[thing]{
		"TTL": {TTL: time.Microsecond}, "Negative": {Negative: -1}, "Jitter": {Jitter: 1}, "Loads": {Loads: -1}, "Waiting": {Waiting: 3},
		"FalsePositives": {FalsePositives: 0.5}, "FilterAge": {FilterAge: -time.Second},
	} {
		_, err := cache.New(memoryStore(t), "shop", "thing", newOrigin().load, o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "for example") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := cache.New(memoryStore(t), "Shop", "thing", newOrigin().load, cache.Options[thing]{}); !errors.Is(err, cache.ErrKey) {
		t.Errorf("business Shop: %v", err)
	}
}

// deaf is a store that answers reads but cannot be told of a change, as long as it is switched so.
type deaf struct {
	driver.Driver
	on atomic.Bool
}

func (d *deaf) Drop(ctx context.Context, key string) error {
	if d.on.Load() {
		return driver.ErrUnavailable
	}
	return d.Driver.Drop(ctx, key)
}

// A change that the store could not be told of is seen here at once all the same, is said by Invalidate, and reaches the others
// when the store listens again.
func TestUnsettledChangeIsSeenHereAndToldLater(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin("a")
			var ear *deaf
			all := instances(t, 2, func() driver.Driver { ear = &deaf{Driver: open()}; return ear }, o, cache.Options[thing]{})
			here := all[1]
			for _, c := range all {
				wants(t, c, "a", 1)
			}
			ear.on.Store(true)
			check(t, here.Write(t.Context(), "a", o.set("a", 2)))
			wants(t, here, "a", 2)
			wants(t, all[0], "a", 1)
			if err := here.Invalidate(t.Context(), "a"); !errors.Is(err, cache.ErrUnsettled) {
				t.Errorf("Invalidate is %v, want ErrUnsettled", err)
			}
			if n := here.Stats().Unsettled; n != 1 {
				t.Errorf("%d changes are unsettled, want 1", n)
			}
			ear.on.Store(false)
			eventually(t, func() bool { v, err := all[0].Get(t.Context(), "a"); return err == nil && v.Version == 2 })
			wants(t, here, "a", 2)
			eventually(t, func() bool { return here.Stats().Unsettled == 0 })
		})
	}
}
