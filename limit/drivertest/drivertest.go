// Package drivertest is the contract of the limits: what holds for a set of rules wherever it counts.
package drivertest

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/clock"
	"penstock/limit"
	"penstock/limit/driver"
)

// World is where sets count. Sets of one world that have the same rules count together if Shared is set.
type World struct {
	Shared driver.Driver // nil: this process alone
	Clock  clock.Clock
	// Now is how much time has passed for the counters, between calls.
	Now func() time.Duration
	// Advance lets time pass for the counters.
	Advance func(time.Duration)
}

// Run runs the contract. Rules have names that no test uses twice, so that one world serves all.
func Run(t *testing.T, w World) {
	t.Run("model", func(t *testing.T) { model(t, w) })
	t.Run("all or none", func(t *testing.T) { allOrNone(t, w) })
	t.Run("refused calls do not count", func(t *testing.T) { refused(t, w) })
	t.Run("overrides", func(t *testing.T) { overrides(t, w) })
	t.Run("what is left", func(t *testing.T) { left(t, w) })
	t.Run("concurrent callers", func(t *testing.T) { concurrent(t, w) })
}

// name returns a name that no other rule has.
func name() string { return "rule-" + rand.Text() }

// Set returns a set of the rules in the world.
func (w World) Set(t testing.TB, rules ...limit.Rule) *limit.Set {
	t.Helper()
	s, err := limit.NewSet(rules, limit.SetOptions{Clock: w.Clock, Shared: w.Shared})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// take asks for a call and wants the counters of the world to have decided.
func take(t fataler, s *limit.Set, who limit.Subject) limit.Decision {
	t.Helper()
	d := s.Take(context.Background(), who)
	if d.Local {
		t.Fatalf("the shared counters did not answer")
	}
	if d.Allowed != (d.Rule == "") || d.Allowed != (d.RetryAfter == 0) || !d.Allowed && d.Wait != 0 {
		t.Fatalf("contradicts itself: %+v", d)
	}
	return d
}

func every(n int, per time.Duration) limit.Rate { return limit.Rate{Calls: n, Per: per} }

// A call that one rule refuses counts in none of the others, whatever their order.
func allOrNone(t *testing.T, w World) {
	a, b, c := name(), name(), name()
	s := w.Set(t,
		limit.Rule{Name: a, By: []limit.Dimension{limit.ByIP}, Rate: every(50, time.Hour)},
		limit.Rule{Name: b, By: []limit.Dimension{limit.ByUser}, Rate: every(3, time.Hour)},
		limit.Rule{Name: c, By: []limit.Dimension{limit.ByApp, limit.ByUser}, Algorithm: limit.TokenBucket, Rate: every(10, time.Hour)})
	who := limit.Subject{IP: netip.MustParseAddr("192.0.2.1"), User: "ann", App: "shop", API: "GET /v1/x"}
	for i := range 10 {
		d := take(t, s, who)
		if d.Allowed != (i < 3) || !d.Allowed && d.Rule != b {
			t.Fatalf("call %d: %+v", i, d)
		}
		if want := max(49-i, 47); d.Quotas[0].Remaining != want || len(d.Quotas) != 3 {
			t.Fatalf("call %d: %+v, want %d left for the address", i, d.Quotas, want)
		}
	}
	if d := take(t, s, limit.Subject{IP: who.IP}); len(d.Quotas) != 1 || d.Quotas[0].Remaining != 46 {
		t.Errorf("the address after seven refused calls: %+v", d.Quotas)
	}
}

// Whoever hammers is let in as soon as the first refusal said.
func refused(t *testing.T, w World) {
	for _, r := range []limit.Rule{
		{Rate: every(2, time.Hour)}, {Rate: every(40, time.Hour)}, {Algorithm: limit.TokenBucket, Rate: every(40, time.Hour)},
		{Algorithm: limit.LeakyBucket, Rate: every(40, time.Hour), Burst: 5},
	} {
		r.Name = name()
		s := w.Set(t, r)
		d := take(t, s, limit.Subject{})
		for i := 0; d.Allowed; i++ {
			if i > r.Rate.Calls {
				t.Fatalf("%v: %d calls were allowed", r, i)
			}
			d = take(t, s, limit.Subject{})
		}
		for range 20 {
			if take(t, s, limit.Subject{}).Allowed {
				t.Fatalf("%v: allowed at once after a refusal", r)
			}
		}
		w.Advance(d.RetryAfter)
		if d := take(t, s, limit.Subject{}); !d.Allowed {
			t.Errorf("%v: refused after the wait that was told: %+v", r, d)
		}
	}
}

// Some values have other rates, and off is none.
func overrides(t *testing.T, w World) {
	s := w.Set(t, limit.Rule{Name: name(), By: []limit.Dimension{limit.ByApp, limit.ByAPI}, Rate: every(1, time.Hour),
		Overrides: map[string]limit.Rate{"gold|a": every(20, time.Hour), "free|a": {}}, Except: []string{"open*"}})
	for who, want := range map[[2]string]int{{"gold", "a"}: 20, {"gold", "b"}: 1, {"free", "a"}: 30, {"tin", "a"}: 1, {"tin", "open sesame"}: 30, {"", "a"}: 30} {
		got := 0
		for range 30 {
			if take(t, s, limit.Subject{App: who[0], API: who[1]}).Allowed {
				got++
			}
		}
		if got != want {
			t.Errorf("%v: %d calls were allowed, want %d", who, got, want)
		}
	}
}

// What is said to be left can be had, and no more; what is said to come back comes back then.
func left(t *testing.T, w World) {
	for _, r := range []limit.Rule{
		{Rate: every(5, time.Hour)}, {Rate: every(30, time.Hour)}, {Algorithm: limit.TokenBucket, Rate: every(60, time.Hour), Burst: 7},
		{Algorithm: limit.LeakyBucket, Rate: every(60, time.Hour), Burst: 3},
	} {
		r.Name = name()
		s := w.Set(t, r)
		q := take(t, s, limit.Subject{}).Quotas[0]
		if q.Limit != q.Remaining+1 || q.Window <= 0 || q.Reset <= 0 || q.Reset > q.Window*16/15+time.Second {
			t.Fatalf("%v: %+v", r, q)
		}
		for i := q.Remaining - 1; i >= 0; i-- {
			if q = take(t, s, limit.Subject{}).Quotas[0]; q.Remaining != i {
				t.Fatalf("%v: %d are left, want %d", r, q.Remaining, i)
			}
		}
		d := take(t, s, limit.Subject{})
		if d.Allowed || d.Quotas[0].Reset < d.RetryAfter {
			t.Fatalf("%v: %+v", r, d)
		}
		w.Advance(d.Quotas[0].Reset)
		if !take(t, s, limit.Subject{}).Allowed {
			t.Errorf("%v: refused after the reset", r)
		}
	}
}

// Many callers at once get exactly the rate between them, and rules in opposite orders do not hold each other up.
func concurrent(t *testing.T, w World) {
	a := limit.Rule{Name: name(), By: []limit.Dimension{limit.ByUser}, Rate: every(40, time.Hour)}
	b := limit.Rule{Name: name(), Algorithm: limit.TokenBucket, Rate: every(100, time.Hour)}
	one := w.Set(t, a, b)
	other, err := limit.NewSet([]limit.Rule{b, a}, limit.SetOptions{Clock: w.Clock, Shared: w.Shared, From: one})
	if err != nil {
		t.Fatal(err)
	}
	users := [...]string{"ann", "bob", "cat", "dan"}
	var each [len(users)]atomic.Int64
	var all atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		s := one
		if g%2 == 1 {
			s = other
		}
		wg.Go(func() {
			for i := range 50 {
				u := (g + i) % len(users)
				if s.Take(context.Background(), limit.Subject{User: users[u]}).Allowed {
					each[u].Add(1)
					all.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if all.Load() != 100 {
		t.Errorf("%d calls were allowed, want 100", all.Load())
	}
	for u := range each {
		if each[u].Load() > 40 {
			t.Errorf("%d calls of %s were allowed, the rate is 40", each[u].Load(), users[u])
		}
	}
}
