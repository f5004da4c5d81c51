package redislimit_test

import (
	"testing"
	"time"

	"penstock/limit"
)

// A wall clock of Redis that is set ahead or back by an hour neither opens a full counter nor keeps it shut: it opens when its
// time has passed. The test turns what the wall clock was last, which is the same from the script's side.
func TestClockSteps(t *testing.T) {
	s, c := server(t)
	o := patient
	o.Every = time.Minute
	in := open(t, s.URL(), o)
	for name, step := range map[string]time.Duration{"ahead": -time.Hour, "back": time.Hour} {
		t.Run(name, func(t *testing.T) {
			one := set(t, in, limit.Rule{Name: name + "w", Rate: limit.Rate{Calls: 20, Per: time.Minute}}, limit.Rule{Name: name + "b", Algorithm: limit.TokenBucket, Rate: limit.Rate{Calls: 20, Per: time.Minute}})
			var d limit.Decision
			for range 20 {
				if d = one.Take(t.Context(), limit.Subject{}); !d.Allowed || d.Local {
					t.Fatalf("%+v", d)
				}
			}
			shift(t, c, step, 0)
			for range 3 {
				if d = one.Take(t.Context(), limit.Subject{}); d.Allowed || d.Local {
					t.Fatalf("the step opened the counters: %+v", d)
				}
			}
			if d.RetryAfter > 65*time.Second {
				t.Errorf("the step shut the counters for %v", d.RetryAfter)
			}
			shift(t, c, 0, d.RetryAfter)
			if d = one.Take(t.Context(), limit.Subject{}); !d.Allowed {
				t.Errorf("refused after the wait that was told: %+v", d)
			}
		})
	}
}

// Counters from a clock that was lost, and is behind now, are no older than now.
func TestClockLost(t *testing.T) {
	s, c := server(t)
	o := patient
	o.Every = time.Minute
	in := open(t, s.URL(), o)
	shift(t, c, 0, time.Hour)
	for _, r := range []limit.Rule{
		{Name: "few", Rate: limit.Rate{Calls: 2, Per: time.Minute}}, {Name: "many", Rate: limit.Rate{Calls: 20, Per: time.Minute}},
		{Name: "bucket", Algorithm: limit.TokenBucket, Rate: limit.Rate{Calls: 20, Per: time.Minute}},
	} {
		one := set(t, in, r)
		for range r.Rate.Calls {
			one.Take(t.Context(), limit.Subject{})
		}
		shift(t, c, 0, -time.Hour)
		if d := one.Take(t.Context(), limit.Subject{}); d.Allowed || d.Local || d.RetryAfter > 65*time.Second {
			t.Errorf("%s: %+v", r.Name, d)
		}
		shift(t, c, 0, time.Hour)
	}
}
