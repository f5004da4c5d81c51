package upstream

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/breaker"
	"penstock/internal/faultproxy"
)

const tryRoutes = `
upstreams: {shop: {targets: [$SHOP], retryBudget: 100%, ejection: {failures: 1000}}}
routes:
  - {match: "/once", upstream: shop, timeout: 300ms}
  - {match: "/again", upstream: shop, timeout: 2s, try: 200ms, retries: {times: 2}}
  - {match: "/keyed", upstream: shop, timeout: 2s, try: 200ms, retries: {times: 2, keyed: true}}
`

// What was sent and not answered is an unknown outcome where it may have changed something, and a failure where it only reads;
// what never left says that it was not executed.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, says("done"))
	p := faultproxy.New(t, strings.TrimPrefix(s.URL, "http://"))
	b := setup(t, tryRoutes, "$SHOP", "http://"+p.Addr())
	for _, c := range []struct {
		spoil         func()
		method, want  string
		reaches, soon bool
	}{
		{p.DropReplies, "POST", "unknown-outcome", true, false},
		{p.DropReplies, "DELETE", "unknown-outcome", true, false},
		{p.DropReplies, "GET", "upstream-timeout", true, false},
		{p.BlackHole, "POST", "unknown-outcome", false, false},
		{func() { p.Limit(20) }, "POST", "unknown-outcome", true, true},
		{func() { p.Limit(20) }, "GET", "upstream-failed", true, true},
		{p.Refuse, "POST", "upstream-unavailable", false, true},
		{p.Refuse, "GET", "upstream-unavailable", false, true},
	} {
		before := s.count()
		c.spoil()
		if a := b.call(c.method, "/once", "x"); a.problem() != c.want {
			t.Errorf("%s: %+v, want %s", c.method, a, c.want)
		}
		if came := s.count() - before; c.reaches && came != 1 || !c.reaches && came != 0 {
			t.Errorf("%s %s came %d times", c.method, c.want, came)
		}
		p.Refuse() // what a black hole held back is gone for good
		p.Pass()
	}
	if a := b.call("POST", "/once", "x"); a.body != "done" {
		t.Errorf("once it is back: %+v", a)
	}
}

// What is not idempotent is executed once, whatever happens to its answer; with a key and the route's word it may be repeated.
func TestRetriesOnlyWhereIdempotent(t *testing.T) {
	t.Parallel()
	s := serve(t, says("done"))
	p := faultproxy.New(t, strings.TrimPrefix(s.URL, "http://"))
	b := setup(t, tryRoutes, "$SHOP", "http://"+p.Addr())
	p.DropReplies()
	for _, c := range []struct {
		method, path, key string
		times             int
	}{
		{"POST", "/again", "", 1}, {"POST", "/again", "k", 1}, {"PATCH", "/again", "k", 1}, {"POST", "/keyed", "", 1}, {"POST", "/keyed", "k", 3}, {"GET", "/again", "", 3}, {"PUT", "/again", "", 3},
	} {
		before, headers := s.count(), []string{}
		if c.key != "" {
			headers = []string{"Idempotency-Key", c.key}
		}
		a := b.call(c.method, c.path, "x", headers...)
		want := "unknown-outcome"
		if c.method == "GET" {
			want = "upstream-timeout"
		}
		if came := s.count() - before; came != c.times || a.problem() != want {
			t.Errorf("%s %s with key %q came %d times, want %d: %+v", c.method, c.path, c.key, came, c.times, a)
		}
	}
	before := s.count()
	b.call("POST", "/keyed", "x", "Idempotency-Key", "k", "Connection", "Idempotency-Key")
	if came := s.count() - before; came != 1 {
		t.Errorf("a key that does not reach the service is leave to send it %d times", came)
	}
}

// A connection that the server closes while it is idle, or as soon as the request is on it, never makes a call happen twice by
// itself: net/http would send one with an Idempotency-Key or an X-Idempotency-Key again.
func TestNobodyElseRepeats(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if cut.Load() {
			c, _, _ := http.NewResponseController(w).Hijack()
			c.Close()
		}
	})
	b := setup(t, tryRoutes, "$SHOP", s.URL)
	for i := range 20 {
		name := []string{"Idempotency-Key", "X-Idempotency-Key"}[i%2]
		cut.Store(false)
		b.call("POST", "/once", "x") // leaves a connection that is used again
		cut.Store(true)
		before := s.count()
		a := b.call("POST", "/once", "x", name, "k")
		if n := s.count() - before; n != 1 || a.problem() != "unknown-outcome" {
			t.Fatalf("%s: executed %d times, told %+v", name, n, a)
		}
	}
}

// An answer of 503 after a try that was lost does not say that nothing happened.
func TestAFailureAfterALostTryIsUnknown(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	b := setup(t, tryRoutes, "$SHOP", s.URL)
	if a := b.call("POST", "/keyed", "x", "Idempotency-Key", "k"); a.problem() != "unknown-outcome" {
		t.Errorf("%+v", a)
	}
}

// When everything fails, retries stay within their budget: 2,000 calls make at most 1.2 times as many tries, one after the other
// as well as many at once.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 50} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		b := setup(t, `
upstreams: {shop: {targets: [$SHOP], ejection: {failures: 100000}}}
routes: [{match: "/x", upstream: shop, retries: {times: 3}}]
`, "$SHOP", s.URL)
		const calls = 2000
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range calls / workers {
					b.call("GET", "/x", "")
				}
			})
		}
		all.Wait()
		ratio := float64(s.count()) / calls
		t.Logf("%d at once: %.3f tries for each call", workers, ratio)
		if ratio > 1.2 || ratio < 1.05 {
			t.Errorf("%d at once: %.3f", workers, ratio)
		}
	}
}

// A budget of nothing repeats nothing, not even at the beginning, and a most of nothing leaves nobody out.
func TestNothingIsNothing(t *testing.T) {
	t.Parallel()
	s, other := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }), serve(t, says(""))
	b := setup(t, `
upstreams: {shop: {targets: [$SHOP, $OTHER], retryBudget: 0%, ejection: {failures: 1, most: 0%}}}
routes: [{match: "/x", upstream: shop, retries: {times: 3}}]
`, "$SHOP", s.URL, "$OTHER", other.URL)
	const calls = 40
	p := b.now().pools["shop"]
	for range calls {
		p.tell(p.targets[0], true)
		b.call("GET", "/x", "")
	}
	if got := s.count() + other.count(); got != calls {
		t.Errorf("%d tries of %d calls", got, calls)
	}
	if states := b.now().States(); states[0].Ejected || states[1].Ejected {
		t.Errorf("%+v", states)
	}
}

// A hedge answers when the first try is silent; it is never made for what changes something.
func TestHedging(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 1 {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		}
	})
	b := setup(t, `
upstreams: {shop: {targets: [$SHOP], retryBudget: 100%}}
routes: [{match: "GET /x", upstream: shop, hedge: 20ms}, {match: "POST /x", upstream: shop, timeout: 300ms, retries: {times: 2}}]
`, "$SHOP", s.URL)
	for range 10 {
		if a := b.call("GET", "/x", ""); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	if s.count() != 20 || b.count("hedge") != 10 {
		t.Errorf("%d tries, %d hedges", s.count(), b.count("hedge"))
	}
	if a := b.call("POST", "/x", "x"); a.problem() != "unknown-outcome" || s.count() != 21 {
		t.Errorf("%+v; %d tries", a, s.count())
	}
	if _, err := New(map[string]Upstream{"a": {Targets: []Target{{Scheme: "http", Host: "h"}}}}, []Route{{Match: "POST /x", Upstream: "a", Hedge: 1}}, b.deps, nil); err == nil {
		t.Error("a file may ask for hedges of POST")
	}
}

// A process whose health check fails gets no calls, and gets them again when it is well.
func TestHealthChecks(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	one := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	two := serve(t, says(""))
	b := setup(t, `
upstreams: {shop: {targets: [$ONE, $TWO], health: {path: /health, every: 1s, down: 2, up: 2}}}
routes: [{match: "/x", upstream: shop}]
`, "$ONE", one.URL, "$TWO", two.URL)
	well := func() bool { return b.now().States()[0].Healthy && b.now().States()[1].Healthy }
	healthy := func(want bool) func() bool {
		return func() bool { b.clock.Advance(time.Second); return well() == want }
	}
	sick.Store(true)
	until(t, "the sick process is left out", healthy(false))
	calls := func(s *server) (n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range s.calls {
			if r.URL.Path == "/x" {
				n++
			}
		}
		return n
	}
	for range 50 {
		b.call("GET", "/x", "")
	}
	if calls(one) != 0 || calls(two) != 50 {
		t.Errorf("%d and %d calls", calls(one), calls(two))
	}
	sick.Store(false)
	until(t, "it is back", healthy(true))
	for range 50 {
		b.call("GET", "/x", "")
	}
	if calls(one) == 0 {
		t.Error("it gets no calls")
	}
}

// A process whose calls fail is left out for a while, longer each time; the last one is never left out, and when all are known to
// be sick a call says at once that it was not executed.
func TestEjection(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	one := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	two := serve(t, says(""))
	b := setup(t, `
upstreams: {shop: {targets: [$ONE, $TWO], ejection: {failures: 3, for: 10s}}}
routes: [{match: "/x", upstream: shop}]
`, "$ONE", one.URL, "$TWO", two.URL)
	out := func() bool { return b.now().States()[0].Ejected || b.now().States()[1].Ejected }
	round := func() {
		for range 60 {
			b.call("POST", "/x", "")
		}
	}
	round()
	if one.count() != 3 || !out() {
		t.Fatalf("%d calls before it was left out", one.count())
	}
	b.clock.Advance(10 * time.Second)
	round()
	b.clock.Advance(19 * time.Second)
	round()
	if one.count() != 4 || !out() {
		t.Errorf("%d calls: one failure after its time leaves it out for longer", one.count())
	}
	broken.Store(false)
	b.clock.Advance(time.Second)
	round()
	if one.count() < 10 || out() {
		t.Errorf("well again it got %d calls", one.count())
	}
	p := b.now().pools["shop"]
	for range 100 {
		p.tell(p.targets[0], true)
		p.tell(p.targets[1], true)
	}
	if p.pick(nil) == nil {
		t.Error("everybody is left out")
	}
	p.targets[0].sick.Store(true)
	p.targets[1].sick.Store(true)
	if a := b.call("POST", "/x", ""); a.problem() != "upstream-unavailable" {
		t.Errorf("%+v", a)
	}
}

// Of two random processes the one with less in flight is taken: one that hangs does not collect calls.
func TestLeastInFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	hangs := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	fast := serve(t, says(""))
	b := setup(t, `
upstreams: {shop: {targets: [$ONE, $TWO]}}
routes: [{match: "/x", upstream: shop, timeout: 5s}]
`, "$ONE", hangs.URL, "$TWO", fast.URL)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { b.call("GET", "/x", "") })
	}
	until(t, "a call hangs", func() bool { return hangs.count() > 0 })
	for range 100 {
		if a := b.call("GET", "/x", ""); a.status != 200 { // one that went there is not answered
			t.Fatalf("%+v", a)
		}
	}
	if n := hangs.count(); n > 8 {
		t.Errorf("%d calls went to the process that hangs", n)
	}
	letGo()
	all.Wait()
}

// While the breaker is open, or the upstream fails, reading calls get the default answer and say so; calls that change something
// go the second path only if they surely were not executed; and nobody guesses who somebody is.
func TestDegradation(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	second := serve(t, says("second"))
	br, err := breaker.New(breaker.Options{Failures: 3, Open: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	const text = `
upstreams: {shop: {targets: [$SHOP], breaker: shop}, other: {targets: [$OTHER]}}
routes:
  - {match: "GET /x", upstream: shop, fallback: {status: 200, body: '{"items":[]}'}}
  - {match: "POST /x", upstream: shop, fallback: {upstream: other}}
  - {match: "GET /who", upstream: shop, identity: true}
`
	b := setup(t, "upstreams: {}\nroutes: []")
	b.deps.Breaker = func(string) (Breaker, bool) { return br, true }
	b.use(text, "$SHOP", s.URL, "$OTHER", second.URL)
	for range 2 {
		if a := b.call("GET", "/x", ""); a.status != 200 || a.body != `{"items":[]}` || a.header.Get("X-Degraded") != "default" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%+v", a)
		}
	}
	if a := b.call("POST", "/x", ""); a.status != 500 || second.count() != 0 {
		t.Errorf("executed, failed, and sent elsewhere: %+v", a)
	}
	if br.State() != breaker.Open {
		t.Fatal("three failures left it", br.State())
	}
	n := s.count()
	if a := b.call("POST", "/x", ""); a.body != "second" || a.header.Get("X-Degraded") != "second" || s.count() != n {
		t.Errorf("%+v", a)
	}
	if a := b.call("GET", "/who", ""); a.problem() != "upstream-unavailable" || s.count() != n {
		t.Errorf("%+v", a)
	}
}

// With problems: wrap the upstream's errors are ours; what was lost behind it is unknown where it may have changed something.
func TestWrappedProblems(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"400": 400, "401": 401, "404": 404, "409": 409, "418": 418, "500": 500, "502": 502, "504": 504}[r.URL.Query().Get("s")]
		http.Error(w, "stack trace of java.lang", status)
	})
	b := setup(t, `
upstreams: {shop: {targets: [$SHOP], ejection: {failures: 1000}}}
routes: [{match: "/x", upstream: shop, problems: wrap}]
`, "$SHOP", s.URL)
	for status, want := range map[string]string{"400": "invalid-request", "401": "upstream-failed", "404": "not-found", "409": "conflict", "418": "upstream-failed", "500": "upstream-failed", "502": "unknown-outcome", "504": "unknown-outcome"} {
		if a := b.call("POST", "/x?s="+status, ""); a.problem() != want || strings.Contains(a.body, "java") {
			t.Errorf("%s: %+v", status, a)
		}
	}
	if a := b.call("GET", "/x?s=502", ""); a.problem() != "upstream-failed" {
		t.Errorf("%+v", a)
	}
}
