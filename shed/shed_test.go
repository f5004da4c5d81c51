package shed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"penstock/errs"
)

func open(t testing.TB, o Options) *Shedder {
	t.Helper()
	if o.Pressure == nil {
		o.Pressure = func() time.Duration { return 0 }
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err = s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t testing.TB, s *Shedder) {
	t.Helper()
	for range 2 {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func refused(err error) bool {
	e, ok := errors.AsType[*errs.Error](err)
	return ok && e.Code == errs.ReducedCapacity && e.RetryAfter > 0
}

// Whoever waits is let in by what he has at stake, then by how little he calls, then by who came first.
func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{InFlight: 1})
		defer stop(t, s)
		for range 100 {
			s.usage.add("heavy")
		}
		first, err := s.Acquire(t.Context(), Searching, "")
		if err != nil {
			t.Fatal(err)
		}
		type ask struct {
			c   Class
			who string
			n   int
		}
		var want []ask
		for _, c := range Classes() {
			want = append(want, ask{c, "light", 1}, ask{c, "light", 2}, ask{c, "heavy", 1})
		}
		arrivals := slices.Clone(want)
		rand.Shuffle(len(arrivals), func(i, j int) { arrivals[i], arrivals[j] = arrivals[j], arrivals[i] })
		slices.SortStableFunc(arrivals, func(a, b ask) int { return a.n - b.n }) // so that the first of two comes first
		var got []ask
		for _, a := range arrivals {
			go func() {
				release, err := s.Acquire(context.Background(), a.c, a.who)
				if err != nil {
					t.Errorf("%v: %v", a, err)
					return
				}
				got = append(got, a)
				release()
			}()
			synctest.Wait()
		}
		first()
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("let in:\n%v\nwant:\n%v", got, want)
		}
	})
}

// When all places in line are taken, one who matters more takes that of the last of those who matter least; one who does not is
// refused at once.
func TestWhoIsTurnedAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{InFlight: 1, Waiting: 2})
		defer stop(t, s)
		release, err := s.Acquire(t.Context(), Searching, "")
		if err != nil {
			t.Fatal(err)
		}
		ended := map[string]error{}
		ask := func(name string, c Class) {
			go func() {
				release, err := s.Acquire(context.Background(), c, name)
				ended[name] = err
				if err == nil {
					release()
				}
			}()
			synctest.Wait()
		}
		begun := time.Now()
		ask("browses first", Browsing)
		ask("browses second", Browsing)
		ask("searches", Searching)
		ask("browses third", Browsing)
		if !refused(ended["searches"]) || !refused(ended["browses third"]) || len(ended) != 2 {
			t.Fatalf("a full line took: %v", ended)
		}
		ask("pays", Paying)
		if !refused(ended["browses second"]) || len(ended) != 3 {
			t.Fatalf("one who pays took the place of: %v", ended)
		}
		if time.Since(begun) != 0 {
			t.Errorf("refusals took %v", time.Since(begun))
		}
		release()
		synctest.Wait()
		if ended["pays"] != nil || ended["browses first"] != nil || len(ended) != 5 {
			t.Errorf("in the end: %v", ended)
		}
	})
}

// Nobody waits longer than the patience of his class, nor than his context.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{InFlight: 1})
		defer stop(t, s)
		release, err := s.Acquire(t.Context(), Searching, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range Classes() {
			begun := time.Now()
			if _, err := s.Acquire(t.Context(), c, "u"); !refused(err) || time.Since(begun) != s.o.Patience[c] {
				t.Errorf("%v: %v after %v", c, err, time.Since(begun))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err = s.Acquire(ctx, Paying, "u"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that ended: %v", err)
		}
		release()
		if st := s.State(); st.Running != 0 || st.Waiting != 0 {
			t.Errorf("in the end %+v", st)
		}
	})
}

// With twenty times as many calls as the capacity, as many pass as it says, and of those who pay every one.
func TestCapacity(t *testing.T) {
	t.Parallel()
	for _, load := range []int{1, 2, 5, 10, 20} {
		t.Run(fmt.Sprint(load), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const capacity, secs = 200, 10
				s := open(t, Options{Capacity: capacity})
				defer stop(t, s)
				var wg sync.WaitGroup
				run := func(c Class, perSecond int) {
					for i := range perSecond * secs {
						wg.Go(func() {
							time.Sleep(time.Duration(i) * time.Second / time.Duration(perSecond))
							if release, err := s.Acquire(context.Background(), c, fmt.Sprint(c, i)); err == nil {
								release()
							} else if !refused(err) {
								t.Error(err)
							}
						})
					}
				}
				run(Paying, capacity/5)
				run(Searching, capacity*load-capacity/5)
				wg.Wait()
				st := s.State()
				var passed uint64
				for _, n := range st.Passed {
					passed += n
				}
				if st.Refused[Paying] != 0 || st.Passed[Paying] != capacity/5*secs {
					t.Errorf("of those who pay %d passed and %d were refused", st.Passed[Paying], st.Refused[Paying])
				}
				if passed < capacity*secs*9/10 || passed > capacity*secs*11/10 {
					t.Errorf("%d passed in %d s at %d a second", passed, secs, capacity)
				}
			})
		})
	}
}

// One who calls a hundred times as often as the others leaves them their share.
func TestHeavyCallerSinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Capacity: 100})
		defer stop(t, s)
		var light, heavy atomic.Int32
		var wg sync.WaitGroup
		run := func(n int, over time.Duration, who func(int) string, passed *atomic.Int32) {
			for i := range n {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * over / time.Duration(n))
					if release, err := s.Acquire(context.Background(), Attempting, who(i)); err == nil {
						passed.Add(1)
						release()
					}
				})
			}
		}
		run(10_000, 10*time.Second, func(int) string { return "one account, many connections" }, &heavy)
		run(800, 10*time.Second, func(i int) string { return fmt.Sprint("user", i) }, &light)
		wg.Wait()
		if light.Load() < 760 {
			t.Errorf("%d of 800 passed beside %d of one who sent 10,000", light.Load(), heavy.Load())
		}
	})
}

// The limit falls to its floor while the machine is late, rises when it is not, and stays between its ends.
func TestFollowsTheMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var delay atomic.Int64
		s := open(t, Options{InFlight: 1000, Floor: 50, Pressure: func() time.Duration { return time.Duration(delay.Load()) }})
		defer stop(t, s)
		delay.Store(int64(time.Second))
		time.Sleep(10 * time.Second)
		if l := s.State().Limit; l != 50 {
			t.Errorf("after ten seconds of pressure the limit is %d", l)
		}
		delay.Store(0)
		time.Sleep(30 * time.Second)
		if l := s.State().Limit; l != 1000 {
			t.Errorf("thirty seconds after it the limit is %d", l)
		}
	})
}

// Whatever comes, waits, gives up and ends, no more run than may, and no place is lost.
func TestNoPlaceIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(r, "limit")
		o := Options{InFlight: limit, Waiting: rapid.IntRange(1, 4).Draw(r, "waiting"), Capacity: rapid.SampledFrom([]float64{0, 500}).Draw(r, "capacity")}
		n, seed := rapid.IntRange(1, 60).Draw(r, "n"), rapid.Uint64().Draw(r, "seed")
		synctest.Test(t, func(t *testing.T) {
			s := open(t, o)
			defer stop(t, s)
			rnd := rand.New(rand.NewPCG(seed, 1))
			var running atomic.Int32
			var wg sync.WaitGroup
			for range n {
				c, gap, hold, give := Class(1+rnd.IntN(classes-1)), rnd.IntN(20), rnd.IntN(100), 1+rnd.IntN(200)
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(give)*time.Millisecond)
					defer cancel()
					release, err := s.Acquire(ctx, c, fmt.Sprint(c))
					if err != nil {
						return
					}
					if running.Add(1) > int32(limit) {
						t.Error("more run than may")
					}
					time.Sleep(time.Duration(hold) * time.Millisecond)
					running.Add(-1)
					release()
				})
				time.Sleep(time.Duration(gap) * time.Millisecond)
			}
			wg.Wait()
			if st := s.State(); st.Running != 0 || st.Waiting != 0 {
				t.Errorf("in the end %+v", st)
			}
		})
	})
}

// The same with real threads, for the race detector.
func TestMany(t *testing.T) {
	t.Parallel()
	s := open(t, Options{InFlight: 8, Waiting: 64})
	var running, most atomic.Int32
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 200 {
				release, err := s.Acquire(context.Background(), Class(1+(g+i)%(classes-1)), fmt.Sprint(g))
				if err != nil {
					continue
				}
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				running.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	if st := s.State(); st.Running != 0 || st.Waiting != 0 || most.Load() > 8 {
		t.Errorf("%d ran at once; in the end %+v", most.Load(), st)
	}
	stop(t, s)
	if release, err := s.Acquire(t.Context(), Paying, ""); err == nil {
		release()
	}
}

// Who waits when it stops is refused, at once.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{InFlight: 1, Capacity: 1})
		release, err := s.Acquire(t.Context(), Paying, "")
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		var got error
		go func() { _, got = s.Acquire(context.Background(), Paying, "") }()
		synctest.Wait()
		begun := time.Now()
		stop(t, s)
		synctest.Wait()
		if !refused(got) || time.Since(begun) != 0 {
			t.Errorf("after %v: %v", time.Since(begun), got)
		}
	})
}

// A call that need not wait costs no memory.
func TestFreeOfAllocations(t *testing.T) {
	s := open(t, Options{})
	defer stop(t, s)
	if n := testing.AllocsPerRun(1000, func() {
		release, err := s.Acquire(context.Background(), Attempting, "ann")
		if err != nil {
			t.Fatal(err)
		}
		release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Holders are known until their time, and the set is bounded.
func TestHolders(t *testing.T) {
	t.Parallel()
	h, now := NewHolders(64*holderShards), time.Unix(1000, 0)
	h.Add("ann", now.Add(time.Minute))
	h.Add("ann", now.Add(time.Second))
	if !h.Has("ann", now.Add(30*time.Second)) || h.Has("ann", now.Add(time.Minute)) || h.Has("bob", now) {
		t.Error("ann is not known for a minute, or bob is")
	}
	for i := range 100_000 {
		h.Add(fmt.Sprint(i), now.Add(time.Hour))
	}
	if n := h.Sweep(now); n > 64*holderShards || n < 32*holderShards {
		t.Errorf("%d are remembered", n)
	}
	if n := h.Sweep(now.Add(time.Hour)); n != 0 {
		t.Errorf("%d are remembered after their time", n)
	}
}

// The scheduler's delay is near nothing on a machine that has nothing to do, and grows with many busy goroutines.
func TestSchedulerDelay(t *testing.T) {
	delay := schedulerDelay()
	delay()
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 400 {
		wg.Go(func() {
			for !stopped.Load() {
			}
		})
	}
	busy := time.Duration(0)
	for end := time.Now().Add(time.Minute); busy < time.Millisecond && time.Now().Before(end); busy = delay() {
		time.Sleep(200 * time.Millisecond) // what is measured is what waited meanwhile
	}
	stopped.Store(true)
	wg.Wait()
	if busy < time.Millisecond {
		t.Errorf("with 400 busy goroutines a ready one runs after %v", busy)
	}
}

// Settings out of range are named with an example; names of classes read back.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Capacity: -1}, {InFlight: -1}, {Floor: -1}, {Target: -1}, {Waiting: -1}, {Patience: [8]time.Duration{Paying: -1}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, c := range Classes() {
		if got, ok := ParseClass(c.String()); !ok || got != c {
			t.Errorf("%v reads as %v", c, got)
		}
	}
}

// BenchmarkAcquire is one call that need not wait, with 1 to 1,000 goroutines.
func BenchmarkAcquire(b *testing.B) {
	for _, goroutines := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			s := open(b, Options{})
			defer stop(b, s)
			b.ReportAllocs()
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for i := g; i < b.N; i += goroutines {
						if release, err := s.Acquire(context.Background(), Attempting, "ann"); err == nil {
							release()
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
