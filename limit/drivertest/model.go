package drivertest

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"penstock/limit"
)

// stamp is a call that was allowed, somewhere between two times, and how long it had to be held back.
type stamp struct{ before, after, wait time.Duration }

// ledger is all that was allowed of one counter.
type ledger []stamp

// trial is one run of the model.
type trial struct {
	world World
	set   *limit.Set
	rules []limit.Rule
	logs  map[string]ledger // of each counter
}

// model takes random calls from random rules. Against the log of all allowed calls: no counter allows more than its rate, no
// call is refused for which all counters have room, so neither refused calls nor those of others count, and whoever waits as
// told gets in.
func model(t *testing.T, w World) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 1, 3).Draw(t, "rules")
		s, err := limit.NewSet(rules, limit.SetOptions{Clock: w.Clock, Shared: w.Shared})
		if err != nil {
			t.Fatal(err)
		}
		tr := trial{w, s, rules, map[string]ledger{}}
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			w.Advance(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second / 4)
			who := limit.Subject{
				IP:   rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}).Draw(t, "ip"),
				User: rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "user"), App: "shop", API: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "api"),
			}
			d := tr.ask(t, who)
			if !d.Allowed && rapid.Bool().Draw(t, "waits") {
				w.Advance(d.RetryAfter)
				if d = tr.ask(t, who); !d.Allowed {
					t.Fatalf("refused by %s after waiting as told", d.Rule)
				}
			}
		}
	})
}

func drawRule(t *rapid.T) limit.Rule {
	r := limit.Rule{
		Name: name(), Algorithm: rapid.SampledFrom([]limit.Algorithm{limit.SlidingWindow, limit.TokenBucket, limit.LeakyBucket}).Draw(t, "algorithm"),
		By:   rapid.SliceOfNDistinct(rapid.SampledFrom([]limit.Dimension{limit.ByIP, limit.ByUser, limit.ByApp, limit.ByAPI}), 0, 2, rapid.ID).Draw(t, "by"),
		Rate: limit.Rate{Calls: rapid.SampledFrom([]int{1, 2, 5, 16, 17, 20}).Draw(t, "rate"), Per: time.Minute},
	}
	if r.Algorithm != limit.SlidingWindow {
		r.Burst = rapid.IntRange(0, 10).Draw(t, "burst")
	}
	return r
}

// ask takes a call and holds the answer against the logs.
func (tr trial) ask(t *rapid.T, who limit.Subject) limit.Decision {
	before, logs := tr.world.Now(), tr.logs
	d := take(t, tr.set, who)
	c := stamp{before, tr.world.Now(), d.Wait}
	room := true
	for _, r := range tr.rules {
		key, applies := counter(r, who)
		if !applies {
			continue
		}
		if room = room && logs[key].room(r, before); d.Allowed {
			logs[key] = append(logs[key], c)
			logs[key].bounded(t, r, len(tr.rules) == 1)
		}
	}
	if !d.Allowed && room {
		t.Fatalf("refused by %s, but every counter of %+v has room", d.Rule, who)
	}
	return d
}

// counter names what a rule counts a call in.
func counter(r limit.Rule, who limit.Subject) (string, bool) {
	key := r.Name
	for _, d := range r.By {
		v := map[limit.Dimension]string{limit.ByUser: who.User, limit.ByApp: who.App, limit.ByAPI: who.API}[d]
		if d == limit.ByIP && who.IP.IsValid() {
			v = limit.AddrKey(who.IP).String()
		}
		if v == "" {
			return "", false
		}
		key += "|" + v
	}
	return key, true
}

// bucket returns how many calls fit at once and how often one comes back.
func bucket(r limit.Rule) (size int, gap time.Duration) {
	size = r.Burst
	switch {
	case r.Algorithm == limit.LeakyBucket:
		size++
	case size == 0:
		size = r.Rate.Calls
	}
	return size, r.Rate.Per / time.Duration(r.Rate.Calls)
}

// tolerance is what rounding may cost.
const tolerance = 10 * time.Microsecond

// bounded wants no stretch of time that ends now to have more calls than the rate allows.
func (l ledger) bounded(t *rapid.T, r limit.Rule, alone bool) {
	last := l[len(l)-1]
	size, gap := bucket(r)
	for i, first := range l {
		n, in := len(l)-i, last.after-first.before
		switch {
		case r.Algorithm == limit.SlidingWindow && in < r.Rate.Per && n > r.Rate.Calls:
			t.Fatalf("%v: %d calls in %v", r, n, in)
		case r.Algorithm != limit.SlidingWindow && time.Duration(n-size)*gap > in+tolerance:
			t.Fatalf("%v: %d calls in %v", r, n, in)
		}
	}
	// With other rules beside it a wait may be theirs.
	if before := len(l) - 2; r.Algorithm == limit.LeakyBucket && alone && before >= 0 {
		if apart := last.after + last.wait - l[before].before - l[before].wait; apart+tolerance < gap && l[before].wait > 0 {
			t.Fatalf("%v: two calls go on %v apart", r, apart)
		}
	}
}

// room reports that a call at a time, or later, must not be refused by the rule.
func (l ledger) room(r limit.Rule, at time.Duration) bool {
	if r.Algorithm == limit.SlidingWindow {
		in, keep := 0, r.Rate.Per
		if r.Rate.Calls > 16 {
			keep += r.Rate.Per/15 + tolerance
		}
		for _, c := range l {
			if c.after+keep+tolerance > at {
				in++
			}
		}
		return in < r.Rate.Calls
	}
	size, gap := bucket(r)
	var empty time.Duration // when the bucket will have run empty
	for _, c := range l {
		empty = max(empty, c.after) + gap + time.Microsecond
	}
	return empty-at <= time.Duration(size-1)*gap-tolerance
}
