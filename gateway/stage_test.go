package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/auth"
	"penstock/breaker"
	"penstock/errs"
	"penstock/limit"
	"penstock/shed"
)

// obstacles are the parts of a chain, each of which refuses until it is told otherwise.
type obstacles struct {
	address, callers gauge
	crowded, broken  bool
	unfit, stranger  bool
	verified         atomic.Int64
	released, done   int
	failure          error
}

// gauge is a set of limits that refuses while it is full, and counts what it was asked.
type gauge struct {
	full, asked bool
	took        int
}

func (l *gauge) Take(context.Context, limit.Subject) limit.Decision {
	l.took++
	return l.Explain(limit.Subject{})
}

func (l *gauge) Explain(limit.Subject) limit.Decision {
	l.asked = true
	d := limit.Decision{Allowed: !l.full, Quotas: []limit.Quota{{Name: "q", Limit: 5, Window: time.Minute, Reset: time.Second}}}
	if l.full {
		d.Rule, d.RetryAfter = "q", time.Second
	}
	return d
}

func (o *obstacles) Acquire(context.Context, shed.Class, string) (func(), error) {
	if o.crowded {
		return nil, errs.New(errs.ReducedCapacity, "crowded")
	}
	return func() { o.released++ }, nil
}

func (o *obstacles) State() shed.State { return shed.State{Limit: 10} }

type fuse struct{ *obstacles }

func (f fuse) Allow() (func(error, time.Duration), error) {
	if f.broken {
		return nil, errs.New(errs.ReducedCapacity, "broken")
	}
	return func(err error, _ time.Duration) { f.done++; f.failure = err }, nil
}

func (f fuse) State() breaker.State {
	if f.broken {
		return breaker.Open
	}
	return breaker.Closed
}

func (o *obstacles) Signed(r *http.Request) bool { return r.Header.Get("Signature") != "" }
func (o *obstacles) Verify(_ context.Context, r *http.Request, body []byte) (auth.Identity, error) {
	o.verified.Add(1)
	if r.Header.Get("Signature") != string(body) {
		return auth.Identity{}, errs.New(errs.BadSignature, "forged")
	}
	return auth.Identity{User: "app:a1", App: "a1"}, nil
}

func (o *obstacles) Permit(who auth.Identity, api string) error {
	if o.stranger || api != "things.write" {
		return errs.New(errs.Forbidden, "stranger")
	}
	return nil
}

// counting counts the tokens that are looked at.
type counting struct {
	Verifier
	n *atomic.Int64
}

func (c counting) Verify(token string) (auth.Identity, error) {
	c.n.Add(1)
	return c.Verifier.Verify(token)
}

// listed is a router with one route.
type listed struct{ route Route }

func (l listed) Route(*http.Request) Route { return l.route }
func (l listed) Routes() map[string]Access { return map[string]Access{l.route.Name: l.route.Access} }

const things = "POST /v1/things"

// course sets up a gateway with a route that every stage refuses a call of.
func course(t testing.TB, access Access) (bundle, *obstacles, *Rule) {
	t.Helper()
	o := &obstacles{crowded: true, broken: true, unfit: true, stranger: true, address: gauge{full: true}, callers: gauge{full: true}}
	b := setup(t, Options{Apps: o}, nil)
	route := Route{Name: things, Access: access, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	route.Validate = func(r *http.Request) error {
		if o.unfit {
			return errs.New(errs.Invalid, "unfit")
		}
		return nil
	}
	b.g.router, b.g.verify = listed{route}, counting{b.ring, &o.verified}
	rule := &Rule{
		MaxBody: 4, Deny: NewAddresses([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}), Address: &o.address, Limits: &o.callers,
		APIs: []string{"things.write"}, Class: shed.Browsing, Shedder: o, Breaker: fuse{o},
	}
	return b, o, rule
}

// use brings the rule into use for all routes; upstream brings the route with its validation.
func (b bundle) use(t testing.TB, rule Rule) {
	t.Helper()
	route := b.g.router.Route(nil)
	if err := b.g.Use(&Policy{Rule: func(string) Rule { return rule }, Upstreams: one{route}}); err != nil {
		t.Fatal(err)
	}
}

// one is a single route to another service.
type one struct{ route Route }

func (o one) Routes() []Route                   { return []Route{o.route} }
func (o one) Match(*http.Request) (Route, bool) { return o.route, true }
func (b bundle) thing(body, sign string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v1/things", strings.NewReader(body))
	r.Header.Set("Signature", sign)
	return b.do(r)
}

// A call that every stage would refuse is refused by them in their order: whatever is put right, the next stage has its say, and
// none below it is asked.
func TestStagesRefuseInOrder(t *testing.T) {
	t.Parallel()
	b, o, rule := course(t, ByUser)
	body, sign := "too long", "x"
	for _, step := range []struct {
		code errs.Code
		fix  func()
	}{
		{errs.TooLarge, func() { body = "body" }},
		{errs.Forbidden, func() { rule.Deny = nil }},
		{errs.QuotaExceeded, func() { o.address.full = false }},
		{errs.BadSignature, func() { sign = "body" }},
		{errs.Forbidden, func() { o.stranger = false }},
		{errs.Invalid, func() { o.unfit = false }},
		{errs.QuotaExceeded, func() { o.callers.full = false }},
		{errs.ReducedCapacity, func() { o.crowded = false }},
		{errs.ReducedCapacity, func() { o.broken = false }},
	} {
		b.use(t, *rule)
		tokens, callers := o.verified.Load(), o.callers.took
		w := b.thing(body, sign)
		problem(t, w, step.code)
		if o.address.full && o.verified.Load() != tokens {
			t.Errorf("a call over the limit of its address had its token looked at: %s", w.Body)
		}
		if o.unfit && o.callers.took != callers {
			t.Errorf("a call was counted before it was known to be good: %s", w.Body)
		}
		step.fix()
	}
	b.use(t, *rule)
	if w := b.thing(body, sign); w.Code != http.StatusNoContent || o.released != 2 || o.done != 1 || o.failure != nil {
		t.Errorf("%d, %d places given back, %d ends told, %v: %s", w.Code, o.released, o.done, o.failure, w.Body)
	}
}

// Each stage that is switched off for a route refuses nothing there, and is no part of the route's chain.
func TestEachStageCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	b, o, rule := course(t, ByUser)
	o.stranger = true
	for _, step := range []struct {
		off  Stage
		next errs.Code
	}{
		{StageBody, errs.Forbidden}, {StageLists, errs.QuotaExceeded}, {StageIPLimit, errs.Forbidden}, {StageApp, errs.TooLarge},
		{StageValidation, errs.QuotaExceeded}, {StageLimits, errs.ReducedCapacity}, {StageShedding, errs.ReducedCapacity}, {StageBreaker, ""},
	} {
		rule.Off |= step.off
		if step.off == StageApp {
			o.unfit, rule.MaxBody = true, 0 // the body is read to check its signature
			step.next = errs.Invalid
		}
		b.use(t, *rule)
		body := "body"
		if step.off == StageBody {
			body = "too long"
		}
		w := b.thing(body, body)
		if step.next == "" {
			if w.Code != http.StatusNoContent {
				t.Errorf("all off: %d %s", w.Code, w.Body)
			}
			continue
		}
		problem(t, w, step.next)
	}
	if o.address.took != 1 || o.callers.took != 1 || o.released != 0 || o.done != 0 {
		t.Errorf("a stage was asked after it was switched off: %d, %d, %d, %d", o.address.took, o.callers.took, o.released, o.done)
	}
	rule.Off |= StageTrace | StageLog | StageAddress
	b.use(t, *rule)
	before := len(b.seen.records)
	if w := b.thing("body", "body"); w.Code != http.StatusNoContent || w.Header().Get("X-Trace-Id") != "" || len(b.seen.records) != before {
		t.Errorf("%d %v, %d records", w.Code, w.Header(), len(b.seen.records)-before)
	}
}

// What a route cannot do without cannot be switched off, and the policy in use stays.
func TestUnsafeSwitchesAreRefused(t *testing.T) {
	t.Parallel()
	b, _, rule := course(t, ByUser)
	b.use(t, Rule{})
	for stage, off := range map[string]Stage{"token": StageToken, "lists": StageAddress, "ipLimit": StageAddress | StageLists} {
		bad := *rule
		bad.Off = off
		if err := b.g.Use(&Policy{Rule: func(string) Rule { return bad }}); err == nil || !strings.Contains(err.Error(), stage) {
			t.Errorf("%s: %v", off, err)
		}
	}
	if w := b.thing("body", "body"); w.Code != http.StatusForbidden {
		t.Errorf("the policy in use has changed: %d %s", w.Code, w.Body)
	}
}

// The breaker hears of answers that say that something behind it does not work, of panics too, and of no others.
func TestBreakerHearsOfFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		h      func(c *Call)
		failed bool
	}{
		"internal": {func(c *Call) { c.Fail(errors.New("disk")) }, true}, "unknown": {func(c *Call) { c.Fail(context.DeadlineExceeded) }, true},
		"panic": {func(*Call) { panic("x") }, true}, "no room": {func(c *Call) { c.Fail(errs.New(errs.ReducedCapacity, "full")) }, false},
		"refusal": {func(c *Call) { c.Fail(errs.New(errs.NotFound, "none")) }, false}, "fine": {func(c *Call) { c.WriteHeader(200) }, false},
	} {
		o := &obstacles{}
		b := setup(t, Options{}, func(_ http.ResponseWriter, r *http.Request) { c.h(FromContext(r.Context())) })
		if err := b.g.Use(&Policy{Rule: func(string) Rule { return Rule{Breaker: fuse{o}} }}); err != nil {
			t.Fatal(err)
		}
		b.do(httptest.NewRequest("GET", "/x", nil))
		if o.done != 1 || (o.failure != nil) != c.failed {
			t.Errorf("%s: told %d times, %v", name, o.done, o.failure)
		}
	}
}

// Routes for apps take apps alone; apps get no further than the APIs they were given; a signature is over the whole body.
func TestApps(t *testing.T) {
	t.Parallel()
	b, o, _ := course(t, ByApp)
	o.stranger, o.unfit = false, false
	b.use(t, Rule{APIs: []string{"other.read", "things.write"}})
	if w := b.thing("body", "body"); w.Code != http.StatusNoContent || b.seen.last().User != "app:a1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	problem(t, b.thing("other", "body"), errs.BadSignature)
	r := httptest.NewRequest("POST", "/v1/things", nil)
	r.Header.Set("Authorization", "Bearer "+b.token)
	problem(t, b.do(r), errs.Forbidden)
	b.use(t, Rule{})
	problem(t, b.thing("body", "body"), errs.Forbidden)
}

// A storm of junk tokens from one address costs no more verifications than the limit of addresses allows calls, and addresses of
// one IPv6 network are one.
func TestJunkTokensAreRefusedBeforeTheyAreVerified(t *testing.T) {
	t.Parallel()
	b, o, _ := course(t, ByUser)
	set, err := limit.NewSet([]limit.Rule{{Name: "ip", By: []limit.Dimension{limit.ByIP}, Rate: limit.Rate{Calls: 5, Per: time.Minute}}}, limit.SetOptions{Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	b.use(t, Rule{Address: set})
	codes := map[int]int{}
	for i := range 200 {
		r := httptest.NewRequest("POST", "/v1/things", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}), 1).String()
		r.Header["X-Forwarded-For"] = []string{"203.0.113." + string(rune('0'+i%10))}
		r.Header.Set("Authorization", "Bearer junk"+strings.Repeat("x", i))
		codes[b.do(r).Code]++
	}
	if n := o.verified.Load(); n != 5 || codes[http.StatusUnauthorized] != 5 || codes[http.StatusTooManyRequests] != 195 {
		t.Errorf("%d tokens were verified, answers %v", n, codes)
	}
}

// Explain tells every stage in the order of the chain, stops at the first that refuses, and counts, executes and logs nothing.
func TestExplain(t *testing.T) {
	t.Parallel()
	b, o, rule := course(t, ByUser)
	o.stranger, o.unfit = false, false
	ask := func() (Explanation, []string) {
		b.use(t, *rule)
		x, err := b.g.Explain(t.Context(), Question{Method: "POST", Path: "/v1/things?a=1", Token: b.token, From: netip.MustParseAddr("192.0.2.9")})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, s := range x.Opinions {
			all = append(all, s.Stage+" "+s.Verdict)
		}
		return x, all
	}
	x, said := ask()
	want := []string{
		"trace pass", "body pass", "address pass", "lists refuse", "ipLimit not reached", "token not reached", "app not reached", "validation not reached",
		"limits not reached", "shedding not reached", "breaker not reached", "business not reached", "log pass",
	}
	if !slices.Equal(said, want) || x.Verdict != Refuses || x.Route != things || x.Access != "user" {
		t.Errorf("%+v", x)
	}
	rule.Deny, o.address.full, rule.Off = nil, false, StageLimits|StageShedding
	x, said = ask()
	want = []string{
		"trace pass", "body pass", "address pass", "lists nothing", "ipLimit pass", "token pass", "app pass", "validation pass",
		"limits off", "shedding off", "breaker refuse", "business not reached", "log pass",
	}
	if !slices.Equal(said, want) || x.User != "ann" || !strings.Contains(x.Summary, "refused by the stage breaker with 503 reduced-capacity") {
		t.Errorf("%+v", x)
	}
	o.broken = false
	if x, _ = ask(); x.Verdict != Passes || !strings.Contains(x.Summary, "every stage passes") {
		t.Errorf("%+v", x)
	}
	if o.address.took+o.callers.took+o.released+o.done > 0 || len(b.seen.records) > 0 {
		t.Errorf("a question was counted, executed or logged: %+v", o)
	}
	if _, err := b.g.Explain(t.Context(), Question{Method: "GET", Path: "orders"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a path without a slash: %v", err)
	}
}

// To a call that no route takes explain says what the router says: a redirect, another method, or no such path.
func TestExplainUnmatched(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]http.HandlerFunc{
		"every stage passes; the call is sent on to /shop with 302":                             http.RedirectHandler("/shop", http.StatusFound).ServeHTTP,
		"refused by the stage business with 405 method-not-allowed: allowed here: GET":          func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Allow", "GET"); w.WriteHeader(405) },
		"refused by the stage business with 404 not-found: no route takes this method and path": http.NotFound,
	} {
		g, err := New(nil, astray{h}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if x, err := g.Explain(t.Context(), Question{Method: "PUT", Path: "/"}); err != nil || x.Summary != want {
			t.Errorf("%v: %q, want %q", err, x.Summary, want)
		}
	}
}

type astray struct{ h http.Handler }

func (a astray) Route(*http.Request) Route {
	return Route{Name: Unmatched, Access: ByAnyone, Handler: a.h}
}
