package redislimit_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/limit"
	"penstock/limit/drivertest"
	"penstock/limit/redislimit"
)

// Sets that count in one Redis keep the contract. Nobody else beats meanwhile: the tests turn the clock.
func TestContract(t *testing.T) {
	s, c := server(t)
	o := patient
	o.Every = time.Minute
	drivertest.Run(t, world(t, open(t, s.URL(), o), c))
}

// So do sets that count in a cluster.
func TestContractOnCluster(t *testing.T) {
	nodes := engines.RedisCluster(t)
	o := patient
	o.Every = time.Minute
	drivertest.Run(t, world(t, open(t, nodes[1].URL()+"?cluster=true", o), dial(t, nodes[0].Addr())))
}

func set(t testing.TB, r *redislimit.Redis, rules ...limit.Rule) *limit.Set {
	t.Helper()
	s, err := limit.NewSet(rules, limit.SetOptions{Shared: r})
	must(t, err)
	return s
}

// storm has many callers ask three sets, and returns how many calls were allowed.
func storm(sets []*limit.Set, callers, calls int, between func(i int)) (allowed, local int64) {
	var yes, alone atomic.Int64
	var wg sync.WaitGroup
	for g := range callers {
		wg.Go(func() {
			for i := range calls {
				if between != nil && g == 0 {
					between(i)
				}
				d := sets[(g+i)%len(sets)].Take(context.Background(), limit.Subject{User: "ann"})
				if d.Allowed {
					yes.Add(1)
				}
				if d.Local {
					alone.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return yes.Load(), alone.Load()
}

// Three instances that are stormed together allow exactly what the rate says, by every algorithm, and every key that is left
// has an expiry.
func TestThreeInstancesAreExact(t *testing.T) {
	s, c := server(t)
	var all []*redislimit.Redis
	for range 3 {
		all = append(all, open(t, s.URL(), patient))
	}
	for _, r := range []limit.Rule{
		{Name: "few", Rate: limit.Rate{Calls: 7, Per: time.Hour}}, {Name: "many", By: []limit.Dimension{limit.ByUser}, Rate: limit.Rate{Calls: 1000, Per: time.Hour}},
		{Name: "bucket", Algorithm: limit.TokenBucket, Rate: limit.Rate{Calls: 1, Per: time.Hour}, Burst: 300},
		{Name: "leaky", Algorithm: limit.LeakyBucket, Rate: limit.Rate{Calls: 1, Per: time.Hour}, Burst: 99},
	} {
		want := map[string]int64{"few": 7, "many": 1000, "bucket": 300, "leaky": 100}[r.Name]
		var sets []*limit.Set
		for _, in := range all {
			sets = append(sets, set(t, in, r))
		}
		if got, local := storm(sets, 60, 50, nil); got != want || local != 0 {
			t.Errorf("%s: %d calls were allowed, want %d; %d decided locally", r.Name, got, want, local)
		}
	}
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("*").Build()).AsStrSlice()
	must(t, err)
	if len(keys) < 6 {
		t.Errorf("keys %q", keys)
	}
	for _, k := range keys {
		ttl, err := c.Do(t.Context(), c.B().Pttl().Key(k).Build()).AsInt64()
		must(t, err)
		if ttl <= 0 && !strings.HasPrefix(k, "penstock:") { // the check's probes may have run out meanwhile
			continue
		}
		if ttl <= 0 {
			t.Errorf("%q has no expiry: %d", k, ttl)
		}
	}
}

// Redis is killed in the middle of a storm and comes back: in all not more is allowed than the rate by Redis and a third of it,
// rounded up, by each of three instances; calls go on; and afterwards Redis decides again.
func TestKilledInAStorm(t *testing.T) {
	s, _ := server(t, "--appendonly", "yes", "--appendfsync", "always")
	var sets []*limit.Set
	var all []*redislimit.Redis
	rule := limit.Rule{Name: "storm", By: []limit.Dimension{limit.ByUser}, Rate: limit.Rate{Calls: 1000, Per: time.Hour}}
	for range 3 {
		all = append(all, open(t, s.URL(), redislimit.Options{Deadline: 200 * time.Millisecond, Every: 200 * time.Millisecond}))
		sets = append(sets, set(t, all[len(all)-1], rule))
	}
	within(t, patience, "all three know of each other", func() bool {
		return all[0].Instances() == 3 && all[1].Instances() == 3 && all[2].Instances() == 3
	})
	got, local := storm(sets, 30, 400, func(i int) {
		switch i {
		case 10:
			s.Kill(t)
		case 300:
			s.Start(t)
		}
	})
	const rate, share = 1000, 334
	t.Logf("%d calls were allowed, %d decided locally", got, local)
	if got > rate+3*share || got < share || local == 0 {
		t.Errorf("%d calls were allowed, the bound is %d; %d decided locally", got, rate+3*share, local)
	}
	for i, in := range all {
		within(t, patience, "redis decides again", func() bool {
			return !in.Gone() && !sets[i].Take(context.Background(), limit.Subject{User: "bob"}).Local
		})
	}
	more, _ := storm(sets, 30, 200, nil)
	if got += more; got > rate+3*share || got < rate {
		t.Errorf("%d calls were allowed in all, the bound is %d", got, rate+3*share)
	}
}

// What an instance has let through by Redis counts against its share when Redis is gone.
func TestShareIsWhatIsLeft(t *testing.T) {
	s, _ := server(t)
	in := open(t, s.URL(), redislimit.Options{Deadline: time.Second, Instances: 4})
	one := set(t, in, limit.Rule{Name: "w", Rate: limit.Rate{Calls: 100, Per: time.Hour}}, limit.Rule{Name: "b", Algorithm: limit.TokenBucket, Rate: limit.Rate{Calls: 100, Per: time.Hour}})
	for range 20 {
		if d := one.Take(t.Context(), limit.Subject{}); !d.Allowed || d.Local {
			t.Fatalf("%+v", d)
		}
	}
	s.Kill(t)
	got := 0
	for range 100 {
		if one.Take(t.Context(), limit.Subject{}).Allowed {
			got++
		}
	}
	if got < 4 || got > 5 {
		t.Errorf("%d calls were allowed without redis, want the rest of a share of 25", got)
	}
}
