package limit

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"penstock/internal/clock"
)

var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// In no stretch as long as the period are more calls allowed than the rate says; a caller who waits as told is allowed; up to
// 16 calls the answer is exactly that of a log of all allowed calls, and above it is never more generous.
func TestWindowAgainstLog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{Calls: rapid.IntRange(1, 40).Draw(t, "calls"), Per: time.Duration(rapid.IntRange(1, 100).Draw(t, "per")) * time.Millisecond}
		c := clock.NewFake(start)
		l := New[string](rate, Options{Clock: c})
		var log []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			c.Advance(time.Duration(rapid.IntRange(0, int(rate.Per)/8).Draw(t, "step")))
			in := 0
			for _, at := range log {
				if c.Now().Sub(at) < rate.Per {
					in++
				}
			}
			got := l.Take("k")
			switch {
			case got.Allowed && in >= rate.Calls:
				t.Fatalf("%v: call %d within %v was allowed", rate, in+1, rate.Per)
			case rate.Calls <= exactCalls && got.Allowed != (in < rate.Calls):
				t.Fatalf("%v: allowed=%v with %d counted", rate, got.Allowed, in)
			case rate.Calls <= exactCalls && got.Allowed && got.Remaining != rate.Calls-in-1:
				t.Fatalf("%v: %d remain with %d counted", rate, got.Remaining, in)
			case !got.Allowed && (got.RetryAfter <= 0 || got.RetryAfter > rate.Per+rate.Per/8):
				t.Fatalf("%v: retry after %v", rate, got.RetryAfter)
			case !got.Allowed:
				c.Advance(got.RetryAfter)
				if !l.Take("k").Allowed {
					t.Fatalf("%v: refused after waiting %v as told", rate, got.RetryAfter)
				}
			}
			log = append(log, c.Now())
		}
	})
}

// Refused calls do not count: whoever keeps hammering is let in as soon as the window allows it.
func TestRefusedCallsDoNotCount(t *testing.T) {
	t.Parallel()
	for _, calls := range []int{1, 10, 100} {
		c := clock.NewFake(start)
		l := New[string](Rate{Calls: calls, Per: time.Second}, Options{Clock: c})
		for range 10 * calls {
			l.Take("k")
			c.Advance(time.Second / time.Duration(20*calls))
		}
		c.Advance(600 * time.Millisecond)
		if !l.Take("k").Allowed {
			t.Errorf("%d/s: still refused after 1.1 s", calls)
		}
	}
}

// Evenly spaced calls at 15/16 of a rate are never refused.
func TestSteadyTrafficPasses(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	l := New[string](Rate{Calls: 160, Per: time.Minute}, Options{Clock: c})
	for i := range 1000 {
		if !l.Take("k").Allowed {
			t.Fatalf("call %d was refused", i)
		}
		c.Advance(time.Minute / 150)
	}
}

// Idle keys are swept as calls come or when asked, the bound holds, and the key forgotten first is the one used longest ago.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	l := New[int](Rate{Calls: 1, Per: time.Second}, Options{Clock: c, MaxKeys: 10 * shardCount})
	for i := range 10000 {
		l.Take(i)
	}
	if n := l.Sweep(); n > 10*shardCount || n < 5*shardCount {
		t.Errorf("%d keys are remembered, the bound is %d", n, 10*shardCount)
	}
	if l.Take(9999).Allowed {
		t.Error("the newest key was forgotten")
	}
	if !l.Take(0).Allowed {
		t.Error("the oldest key was not forgotten")
	}
	c.Advance(time.Second)
	if n := l.Sweep(); n != 0 {
		t.Errorf("%d idle keys are still remembered", n)
	}
	for i := range l.shards {
		if s := &l.shards[i]; s.entries != nil || s.cells != nil {
			t.Fatalf("shard %d did not give its memory back", i)
		}
	}
}

// The list of keys in order of use agrees with a simple model under any sequence of uses.
func TestOrderOfUse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s shard[int]
		var model []int // oldest first
		for now := range int64(rapid.IntRange(1, 60).Draw(t, "n")) {
			if rapid.IntRange(0, 5).Draw(t, "sweep") == 0 && len(model) > 0 {
				s.sweep(s.entries[s.index[model[0]]].touched, 1)
				model = model[1:]
				continue
			}
			k := rapid.IntRange(0, 6).Draw(t, "key")
			s.entries[s.find(k, 4, 1)].touched = now
			model = slices.DeleteFunc(model, func(m int) bool { return m == k })
			if model = append(model, k); len(model) > 4 {
				model = model[1:]
			}
		}
		var got []int
		if len(s.index) > 0 {
			for i := s.oldest; i != none; i = s.entries[i].newer {
				got = append(got, s.entries[i].key)
			}
		}
		if !slices.Equal(got, model) {
			t.Fatalf("order %v, want %v", got, model)
		}
	})
}

// Callers of one key who come at the same time get exactly the allowance between them.
func TestConcurrentCallersShareOneCount(t *testing.T) {
	t.Parallel()
	l := New[string](Rate{Calls: 100, Per: time.Hour}, Options{Clock: clock.NewFake(start)})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if l.Take("k").Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 100 {
		t.Errorf("%d calls were allowed, want 100", allowed.Load())
	}
}

// A clock that is set back neither opens nor freezes the window.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	l := New[string](Rate{Calls: 1, Per: time.Second}, Options{Clock: c})
	c.Advance(time.Minute)
	l.Take("k")
	c.Advance(-30 * time.Second)
	if l.Take("k").Allowed {
		t.Error("setting the clock back opened the window")
	}
	c.Advance(31 * time.Second)
	if !l.Take("k").Allowed {
		t.Error("refused a second after the call")
	}
}

// Nor does it make the window forget calls: the allowance of a period is not given twice.
func TestClockSetBackKeepsCounts(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	l := New[string](Rate{Calls: 100, Per: 15 * time.Second}, Options{Clock: c})
	c.Advance(time.Minute)
	for range 50 {
		l.Take("k")
	}
	c.Advance(-16 * time.Second) // to the piece of time that uses the same cell
	for range 50 {
		l.Take("k")
	}
	c.Advance(16 * time.Second)
	if l.Take("k").Allowed {
		t.Error("calls counted before the clock was set back were forgotten")
	}
}

// Rates read and write as documented, and whatever is no rate is refused with an example.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"100/m": {100, time.Minute}, "1/s": {1, time.Second}, "20/10s": {20, 10 * time.Second}, "5/2d": {5, 48 * time.Hour}, "7/h": {7, time.Hour}, "off": {},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if again, err := Parse(got.String()); err != nil || again != want {
			t.Errorf("%s is written as %s, which reads as %v, %v", text, got, again, err)
		}
	}
	for _, bad := range []string{"", "100", "/s", "0/s", "-1/s", "1/0s", "1/", "1/x", "99999999999999999999/s", "10000001/s", "1/s/s", "1/99d", "1/-1s", "OFF"} {
		if _, err := Parse(bad); err == nil || !strings.Contains(err.Error(), "100/m") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if r := New[string](Rate{}, Options{}).Take("k"); !r.Allowed {
		t.Error("off refuses")
	}
}

// One IPv6 subscriber is one key, one IPv4 address is one key however it is written.
func TestAddrKey(t *testing.T) {
	t.Parallel()
	key := func(s string) netip.Addr { return AddrKey(netip.MustParseAddr(s)) }
	if key("2001:db8::1") != key("2001:db8::ffff:1%eth0") || key("2001:db8::1") == key("2001:db8:0:1::1") {
		t.Error("IPv6 is not counted by /64")
	}
	if key("::ffff:192.0.2.1") != key("192.0.2.1") || key("192.0.2.1") == key("192.0.2.2") {
		t.Error("IPv4 is not counted by address")
	}
}

// BenchmarkTake is one call with 1, 16 and 256 goroutines over many keys, and over a single one.
func BenchmarkTake(b *testing.B) {
	keys := make([]string, 1<<14)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
	}
	for _, one := range []bool{false, true} {
		for _, goroutines := range []int{1, 16, 256} {
			b.Run(map[bool]string{false: "keys=16384", true: "keys=1"}[one]+"/goroutines="+strconv.Itoa(goroutines), func(b *testing.B) {
				l := New[string](Rate{Calls: 1000, Per: time.Minute}, Options{})
				b.ReportAllocs()
				var wg sync.WaitGroup
				for g := range goroutines {
					wg.Go(func() {
						for i := g; i < b.N; i += goroutines {
							k := i * 7919 & (len(keys) - 1)
							if one {
								k = 0
							}
							l.Take(keys[k])
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
