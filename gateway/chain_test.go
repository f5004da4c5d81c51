package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/limit"
)

// A good traceparent is continued with its sampled bit, a bad one begins a new trace, under a good x-trace-id if there is one; a sane request id is taken over, any
// other is replaced; both are answered.
func TestIdentify(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{LogEvery: 1000}, nil)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for in, want := range map[string]struct{ continued, sampled bool }{
		"00-" + trace + "-00f067aa0ba902b7-01":                   {true, true},
		"00-" + trace + "-00f067aa0ba902b7-00":                   {true, false},
		"cc-" + trace + "-00f067aa0ba902b7-01-x":                 {true, true},
		"00-" + trace + "-00f067aa0ba902b7-01-x":                 {false, false},
		"ff-" + trace + "-00f067aa0ba902b7-01":                   {false, false},
		"00-" + trace + "-0000000000000000-01":                   {false, false},
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": {false, false},
		"00-" + strings.ToUpper(trace) + "-00f067aa0ba902b7-01":  {false, false},
		"": {false, false}, "x": {false, false},
	} {
		w := b.attempt(oneItem, header("Traceparent", in))
		got := b.room.asked[len(b.room.asked)-1].Trace
		if !goodTraceparent(got) || w.Header().Get("X-Trace-Id") != got[3:35] || (got[3:35] == trace) != want.continued || strings.HasSuffix(got, "-01") != want.sampled || got == in {
			t.Errorf("%q became %q, answered %q", in, got, w.Header().Get("X-Trace-Id"))
		}
	}
	good := "00-" + trace + "-00f067aa0ba902b7-01"
	for id, want := range map[string]struct{ parent, answered string }{
		strings.Repeat("1", 32): {"", strings.Repeat("1", 32)}, strings.Repeat("2", 32): {good, trace}, strings.Repeat("a", 32): {"x", strings.Repeat("a", 32)},
		strings.Repeat("0", 32): {"", ""}, strings.Repeat("A", 32): {"", ""}, "1": {"", ""}, strings.Repeat("1", 33): {"", ""}, strings.Repeat("g", 32): {"", ""},
	} {
		got := b.attempt(oneItem, header("Traceparent", want.parent), header("X-Trace-Id", id)).Header().Get("X-Trace-Id")
		seen := b.room.asked[len(b.room.asked)-1].Trace
		if got == "" || !goodTraceparent(seen) || seen[3:35] != got || want.answered != "" && got != want.answered || want.answered == "" && got == id {
			t.Errorf("x-trace-id %q beside %q: answered %q, passed on %q", id, want.parent, got, seen)
		}
	}
	for id, kept := range map[string]bool{"req-1:a/b_c.D": true, "": false, "a b": false, "a\"b": false, "é": false, strings.Repeat("r", 129): false} {
		if got := b.attempt(oneItem, header("X-Request-Id", id)).Header().Get("X-Request-Id"); (got == id) != kept || got == "" {
			t.Errorf("request id %q became %q", id, got)
		}
	}
}

// The client is the peer, unless the peer is a trusted proxy: then it is the right-most forwarded address that is no proxy,
// and nothing to the left of it counts.
func TestLocate(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		peer, want string
		forwarded  []string
	}{
		{"192.0.2.1:1", "192.0.2.1", []string{"203.0.113.9"}},
		{"10.0.0.1:1", "203.0.113.9", []string{"203.0.113.9"}},
		{"10.0.0.1:1", "203.0.113.9", []string{"198.51.100.1, 203.0.113.9, 10.2.3.4"}},
		{"10.0.0.1:1", "203.0.113.9", []string{"198.51.100.1", "203.0.113.9:4711"}},
		{"10.0.0.1:1", "10.0.0.1", []string{"203.0.113.9, nonsense"}},
		{"10.0.0.1:1", "10.9.9.9", []string{"10.9.9.9"}},
		{"10.0.0.1:1", "10.0.0.1", nil},
		{"[2001:db8::1]:1", "2001:db9::7", []string{"[2001:db9::7]:80"}},
		{"[::ffff:10.0.0.1]:1", "203.0.113.9", []string{"203.0.113.9"}},
	} {
		b := setup(t, Options{TrustedProxies: trusted}, nil)
		b.attempt(oneItem, func(r *http.Request) { r.RemoteAddr = c.peer; r.Header["X-Forwarded-For"] = c.forwarded })
		if got := b.seen.last().Client.String(); got != c.want {
			t.Errorf("%s with %q is %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

// Over a limit the answer is 429, says which limit, how much is left and when to come back, and the room is not asked.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{IP: limit.Rate{Calls: 3, Per: time.Minute}, User: limit.Rate{Calls: 2, Per: time.Minute}}, nil)
	var last *httptest.ResponseRecorder
	for range 3 {
		last = b.attempt(oneItem)
	}
	problem(t, last, errs.QuotaExceeded)
	if h := last.Header(); h.Get("RateLimit-Policy") != `"user";q=2;w=60` || h.Get("RateLimit") != `"user";r=0;t=60` {
		t.Errorf("%v", h)
	}
	if s, err := strconv.Atoi(last.Header().Get("Retry-After")); err != nil || s < 60 || s > 70 {
		t.Errorf("retry after %v", last.Header().Get("Retry-After"))
	}
	last = b.attempt(oneItem, header("Authorization"))
	problem(t, last, errs.QuotaExceeded)
	if h := last.Header(); h.Get("RateLimit-Policy") != `"ip";q=3;w=60` {
		t.Errorf("%v", h)
	}
	if len(b.room.asked) != 2 {
		t.Errorf("the room was asked %d times, want 2", len(b.room.asked))
	}
	b.clock.Advance(time.Minute)
	if w := b.attempt(oneItem); w.Code != 201 {
		t.Errorf("a minute later: %d", w.Code)
	}
	for i, peer := range []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "[2001:db8::4]:1"} {
		w := b.attempt(oneItem, header("Authorization"), func(r *http.Request) { r.RemoteAddr = peer })
		if want := 401; w.Code != want && i < 3 || i == 3 && w.Code != 429 {
			t.Errorf("address %d of one network: %d", i+1, w.Code)
		}
	}
}

// A panic is a 500 problem that tells nothing, is logged with its trace, and harms no other call; once the answer has begun,
// the connection is cut instead.
func TestPanics(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, func(http.ResponseWriter, *http.Request) { panic("secret") })
	w := b.do(httptest.NewRequest("GET", "/x", nil))
	if p := problem(t, w, errs.Internal); strings.Contains(w.Body.String(), "secret") || p["requestId"] == "" || w.Header().Get("X-Trace-Id") == "" {
		t.Errorf("%v", p)
	}
	if r := b.seen.last(); r.Panic != "secret" || !r.Log || r.Status != 500 {
		t.Errorf("observed %+v", r)
	}
	b = setup(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "half"); panic("secret") })
	srv := httptest.NewServer(b.g)
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + "/x")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
}

// An error without a code is internal and tells nothing; an ended context is unknown, not failure.
func TestErrorsWithoutCode(t *testing.T) {
	t.Parallel()
	for err, code := range map[error]errs.Code{errors.New("disk on fire"): errs.Internal, errs.Wrap(errs.Internal, errors.New("disk on fire"), "disk"): errs.Internal} {
		b := setup(t, Options{}, func(_ http.ResponseWriter, r *http.Request) { FromContext(r.Context()).Fail(err) })
		w := b.do(httptest.NewRequest("GET", "/x", nil))
		problem(t, w, code)
		if strings.Contains(w.Body.String(), "disk") {
			t.Errorf("internals leaked: %s", w.Body)
		}
	}
	b := setup(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		FromContext(r.Context()).Fail(&errs.Error{Code: errs.NotFound, Detail: "d", Extra: map[string]any{"b": 1, "a": "x", "status": 5}})
	})
	if w := b.do(httptest.NewRequest("GET", "/x", nil)); !strings.HasSuffix(w.Body.String(), `"a":"x","b":1}`+"\n") {
		t.Errorf("extra members: %s", w.Body)
	}
}

// Of the attempt path one call in LogEvery deserves a log line, of other paths each one.
func TestLogSampling(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{LogEvery: 10}, nil)
	for range 100 {
		b.attempt(oneItem)
	}
	logged := 0
	for _, r := range b.seen.records {
		if r.Log {
			logged++
		}
		if r.Route != AttemptRoute || r.User != "ann" || r.Status != 201 || r.BytesIn != int64(len(oneItem)) || r.BytesOut != int64(len(wonBody)) {
			t.Fatalf("%+v", r)
		}
	}
	if logged != 10 {
		t.Errorf("%d of 100 attempts were logged, want 10", logged)
	}
	b.do(httptest.NewRequest("BREW", "/x", nil))
	if r := b.seen.last(); !r.Log || r.Method != "OTHER" {
		t.Errorf("%+v", r)
	}
}

// The share of the traces begun here that are sampled is the one asked for; nothing and everything are exact.
func TestTraceSampling(t *testing.T) {
	t.Parallel()
	const n = 5000
	for _, share := range []float64{0, 0.1, 0.5, 1} {
		b := setup(t, Options{Sample: share}, nil)
		sampled := 0
		for range n {
			b.attempt(oneItem)
			if r := b.seen.last(); r.Sampled {
				sampled++
			}
		}
		if d := float64(sampled)/n - share; d > 0.05 || d < -0.05 || (share == 0 || share == 1) && d != 0 {
			t.Errorf("asked for %v, got %d of %d", share, sampled, n)
		}
	}
}

// Only POST to exactly three plain segments is the attempt path.
func TestAttemptPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/v1/sales/flash/attempts": "flash", "/v1/sales//attempts": "", "/v1/sales/a/b/attempts": "", "/v1/sales/flash/attempts/": "", "/v1/sales/../attempts": "",
		"/v1/sales/attempts": "", "/v1/sales/fl%61sh/attempts": "", "/v1/sales/a%2Fb/attempts": "", "/x/v1/sales/flash/attempts": "",
	} {
		r := httptest.NewRequest("POST", target, nil)
		if got, _ := attemptPath(r); got != want {
			// A needlessly encoded path keeps RawPath empty; the decoded name is what counts then.
			if r.URL.RawPath == "" && strings.Contains(target, "%") && got == "flash" {
				continue
			}
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		r.Method = "GET"
		if got, ok := attemptPath(r); ok {
			t.Errorf("GET %s: %q", target, got)
		}
	}
}

// A drain that has begun makes answers ask for the connection to be closed.
func TestDrain(t *testing.T) {
	t.Parallel()
	d := NewDrain()
	b := setup(t, Options{Drain: d}, nil)
	if w := b.attempt(oneItem); w.Header().Get("Connection") != "" {
		t.Error("closed before the drain")
	}
	d.Begin()
	d.Begin()
	if w := b.attempt(oneItem); w.Code != 201 || w.Header().Get("Connection") != "close" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A body that does not arrive in time is 408 and not executed; the server is set up so that this cannot take for ever.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := Server(b.g, ServerOptions{ReadTimeout: 50 * time.Millisecond})
	if srv.ReadHeaderTimeout == 0 || srv.WriteTimeout == 0 || srv.IdleTimeout == 0 || srv.MaxHeaderBytes == 0 {
		t.Errorf("a bound is missing: %+v", srv)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() { srv.Close(); <-served }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v1/sales/flash/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+b.pass+"\r\nIdempotency-Key: k\r\nContent-Length: 40\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), `"executed":false`) {
		t.Errorf("%v: %s", err, answer)
	}
	if len(b.room.asked) != 0 {
		t.Error("the room was asked")
	}
}

// Options out of range are refused by the name of their field.
func TestOptions(t *testing.T) {
	t.Parallel()
	for field, o := range map[string]Options{"MaxBody": {MaxBody: -1}, "LogEvery": {LogEvery: -1}, "Sample": {Sample: 1.5}, "ProblemBase": {ProblemBase: "x/"}, "TrustedProxies": {TrustedProxies: []netip.Prefix{{}}}} {
		if _, err := New(nil, nil, o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Operator routes want the role, whatever else the token says.
func TestOperatorRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	b.g.router = router{Route{Name: "admin", Access: ByOperator, Handler: b.g.router.Route(nil).Handler}}
	operator, err := b.ring.Sign(auth.Claims{User: "root", Role: auth.Operator, Expires: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for token, status := range map[string]int{"": 401, b.token: 403, b.pass: 403, operator: 204} {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := b.do(r)
		if w.Code != status || status == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%.10q: %d %v", token, w.Code, w.Header())
		}
	}
}
