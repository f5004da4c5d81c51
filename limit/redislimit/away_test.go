package redislimit_test

import (
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/faultproxy"
	"penstock/limit"
	"penstock/limit/redislimit"
)

// Whatever is between an instance and Redis, a call is answered within a few deadlines, by this instance while Redis cannot
// answer, and by Redis soon after it can.
func TestAway(t *testing.T) {
	s, _ := server(t)
	p := faultproxy.New(t, s.Addr())
	var asked atomic.Int64
	in := open(t, "redis://"+p.Addr(), redislimit.Options{Deadline: 100 * time.Millisecond, Every: 200 * time.Millisecond, OnCall: func(c redislimit.Call) { asked.Add(int64(c.Batch)) }})
	one := set(t, in, limit.Rule{Name: "away", By: []limit.Dimension{limit.ByUser}, Rate: limit.Rate{Calls: 100000, Per: time.Hour}})
	for _, fault := range []struct {
		name  string
		spoil func()
	}{{"refused", p.Refuse}, {"reset", p.Reset}, {"silent", p.BlackHole}, {"slow", func() { p.Delay(150 * time.Millisecond) }}, {"replies lost", p.DropReplies}} {
		within(t, patience, "redis decides", func() bool {
			return !in.Gone() && !one.Take(t.Context(), limit.Subject{User: "ann"}).Local
		})
		fault.spoil()
		var longest time.Duration
		local := 0
		for range 200 {
			start := time.Now()
			d := one.Take(t.Context(), limit.Subject{User: "ann"})
			longest = max(longest, time.Since(start))
			if !d.Allowed {
				t.Fatalf("%s: %+v", fault.name, d)
			}
			if d.Local {
				local++
			}
		}
		if local == 0 || longest > time.Minute {
			t.Errorf("%s: %d calls decided locally, the longest took %v", fault.name, local, longest)
		}
		before := asked.Load()
		within(t, patience, "the breaker is open", in.Gone)
		for range 100 {
			one.Take(t.Context(), limit.Subject{User: "ann"})
		}
		if in.Gone() && asked.Load() > before+100 {
			t.Errorf("%s: calls still wait for redis", fault.name)
		}
		p.Pass()
	}
}

// A key that somebody planted with another type makes calls local, and nothing else.
func TestPlanted(t *testing.T) {
	s, c := server(t)
	in := open(t, s.URL(), patient)
	must(t, c.Do(t.Context(), c.B().Lpush().Key(clockKey+"x").Element("x").Build()).Error())
	must(t, c.Do(t.Context(), c.B().Rename().Key(clockKey+"x").Newkey(clockKey).Build()).Error())
	one := set(t, in, limit.Rule{Name: "planted", Rate: limit.Rate{Calls: 3, Per: time.Hour}})
	got := 0
	for range 10 {
		d := one.Take(t.Context(), limit.Subject{})
		if d.Allowed {
			got++
		}
		if !d.Local {
			t.Fatalf("%+v", d)
		}
	}
	if got != 3 {
		t.Errorf("%d calls were allowed, want 3", got)
	}
}

// An instance that has never seen Redis counts as one of those that there are at least; one that stops is off the list.
func TestInstances(t *testing.T) {
	s, _ := server(t)
	fast := redislimit.Options{Deadline: time.Second, Every: 50 * time.Millisecond}
	a, b := open(t, s.URL(), fast), open(t, s.URL(), fast)
	within(t, patience, "both are seen", func() bool { return a.Instances() == 2 && b.Instances() == 2 })
	must(t, b.Stop(t.Context()))
	within(t, patience, "the other is gone", func() bool { return a.Instances() == 1 })
	p := faultproxy.New(t, s.Addr())
	p.Refuse()
	never := open(t, "redis://"+p.Addr(), redislimit.Options{Instances: 5})
	one := set(t, never, limit.Rule{Name: "never", Rate: limit.Rate{Calls: 11, Per: time.Hour}})
	got := 0
	for range 20 {
		if one.Take(t.Context(), limit.Subject{}).Allowed {
			got++
		}
	}
	if got != 3 {
		t.Errorf("%d calls were allowed, want a fifth of 11, rounded up", got)
	}
}
