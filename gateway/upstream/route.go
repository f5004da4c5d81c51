package upstream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"penstock/errs"
)

// route is a route with all that it is made of.
type route struct {
	Route
	d       Deps
	sides   []share
	weights uint64
	salt    string
	second  *side // of the fallback
	path    []part
	ask     *converter // of requests
	tell    *converter // of answers
	method  *rpc
	schema  *schema
	open    atomic.Int64 // streams
	proxy   *httputil.ReverseProxy
}

type share struct {
	*side
	weight uint64
}

// route makes a route of what a file says.
func (s *Set) route(key string, spec Route) (*route, error) {
	r := &route{Route: spec, d: s.d}
	shares := spec.Split
	if spec.Upstream != "" {
		shares = []Share{{spec.Upstream, 1}}
	}
	for i, sh := range shares {
		at := key + ".upstream"
		if spec.Upstream == "" {
			at = key + ".split[" + strconv.Itoa(i) + "]"
		}
		if sh.Weight < 0 || sh.Weight > 1_000_000 {
			return nil, bad(at+".weight", "weight: 95", "must be between 0 and 1000000")
		}
		one, err := s.side(at, sh.Upstream, spec)
		if err != nil {
			return nil, err
		}
		r.sides = append(r.sides, share{one, uint64(sh.Weight)})
		r.weights += uint64(sh.Weight)
		r.salt += sh.Upstream + "\x00"
	}
	if r.weights == 0 {
		return nil, bad(key+".split", "split: [{upstream: catalog, weight: 95}, {upstream: canary, weight: 5}]", "needs a weight above 0")
	}
	var err error
	if spec.Fallback != nil && spec.Fallback.Upstream != "" {
		if r.second, err = s.side(key+".fallback.upstream", spec.Fallback.Upstream, spec); err != nil {
			return nil, err
		}
	}
	if r.path, err = rewriting(key+".path", spec.Path, spec.Match); err != nil {
		return nil, err
	}
	if err = r.bodies(key, s.d.Dir); err != nil {
		return nil, err
	}
	r.proxy = &httputil.ReverseProxy{
		Rewrite: r.rewrite, Transport: r, ModifyResponse: r.modify, ErrorHandler: r.failed, FlushInterval: -1,
		ErrorLog: log.New(io.Discard, "", 0), // every error comes to failed
	}
	return r, nil
}

// bodies prepares what is done to bodies.
func (r *route) bodies(key, dir string) (err error) {
	if r.ask, err = newConverter(r.Request); err != nil {
		return bad(key+".request", conversionExample, "%v", err)
	}
	if r.tell, err = newConverter(r.Response); err != nil {
		return bad(key+".response", conversionExample, "%v", err)
	}
	if r.GRPC != nil {
		if r.method, err = readMethod(in(dir, r.GRPC.Descriptors), r.GRPC.Method); err != nil {
			return bad(key+".grpc", "grpc: {descriptors: prices.pb, method: shop.v1.Prices/Get}", "%v", err)
		}
	}
	if r.OpenAPI != "" {
		method, path := r.Route.method()
		if r.schema, err = readSchema(in(dir, r.OpenAPI), method, path, r.Path); err != nil {
			return bad(key+".openapi", "openapi: catalog.yaml", "%v", err)
		}
	}
	return nil
}

func (s *Set) side(key, name string, spec Route) (*side, error) {
	p := s.pools[name]
	switch {
	case p == nil:
		return nil, bad(key, "upstreams: {"+cmp.Or(name, "catalog")+": {targets: [http://10.0.0.5:9000]}}", "is not among upstreams")
	case spec.GRPC != nil && p.spec.Protocol != "http2":
		return nil, bad(key, "protocol: http2", "must speak http2: the route calls a gRPC method")
	case spec.Stream == "websocket" && p.spec.Protocol == "http2":
		return nil, bad(key, "protocol: http1", "must speak http1: the route opens WebSockets")
	}
	out := &side{pool: p}
	if p.spec.Breaker != "" {
		out.breaker, _ = s.d.Breaker(p.spec.Breaker)
	}
	return out, nil
}

func (r *route) converts() bool { return r.tell != nil || r.method != nil }

// side is where a caller belongs: the same for all routes that split between the same upstreams.
func (r *route) side(c Caller) *side {
	if len(r.sides) == 1 {
		return r.sides[0].side
	}
	who := "user\x00" + c.User
	if c.User == "" {
		who = "address\x00" + c.Client.String()
	}
	n := mix(xxhash.Sum64String(r.salt+who)) % r.weights
	for _, s := range r.sides {
		if n < s.weight {
			return s.side
		}
		n -= s.weight
	}
	return r.sides[0].side
}

// mix spreads a hash once more, so that its remainder has nothing in common with other uses of the same hash.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// job is one call on its way to its upstream and back.
type job struct {
	route    *route
	in       *http.Request
	said     http.Header // of our answer, so far
	ctx      context.Context
	caller   Caller
	safe     bool // the method only reads
	repeat   bool // it may be executed twice
	keyed    bool // it may if a key of its own gets there
	upgrade  bool
	body     []byte
	host     string // "" for the target's
	degraded string
	head     func() // ends the time that the call may take, when a stream has begun
}

type jobKey struct{}

// ServeHTTP sends a call to its upstream and its answer back.
func (r *route) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	j := &job{route: r, in: in, said: w.Header().Clone(), caller: r.d.Caller(in), safe: reads(in.Method) || in.Method == http.MethodOptions, head: func() {}}
	if err := j.admit(); err != nil {
		r.d.Fail(in, err)
		return
	}
	ctx, cancel := context.WithCancelCause(in.Context())
	defer cancel(context.Canceled)
	limit := r.Timeout.or(defaultTimeout)
	timer := time.AfterFunc(limit, func() { cancel(errOverall) })
	defer timer.Stop()
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Time{}) // the body is in memory; else the server takes the silence of a waiting caller for slowness
	_ = conn.SetWriteDeadline(time.Now().Add(limit + writePatience))
	if r.Stream != "" {
		if r.open.Add(1) > int64(cmp.Or(r.Streams, 1000)) {
			r.open.Add(-1)
			r.d.Fail(in, errs.New(errs.ReducedCapacity, "too many streams are open"))
			return
		}
		defer r.open.Add(-1)
		j.head = func() { timer.Stop(); r.d.Began(in) }
		w = &paced{w, conn, func() { r.d.Switched(in) }}
		defer j.endWith(cancel)()
	}
	j.ctx = ctx
	r.proxy.ServeHTTP(w, in.WithContext(context.WithValue(ctx, jobKey{}, j)))
}

func jobOf(r *http.Request) *job { return r.Context().Value(jobKey{}).(*job) }

// admit judges a call before anything is sent, and prepares its body.
func (j *job) admit() error {
	in, r := j.in, j.route
	if _, err := url.ParseQuery(in.URL.RawQuery); err != nil {
		return errs.New(errs.Invalid, "the query is malformed")
	}
	switch in.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		j.repeat = true
	case http.MethodConnect, http.MethodTrace:
		return errs.New(errs.MethodNotAllowed, "this method is not forwarded")
	default:
		j.keyed = r.Retries.Keyed
	}
	if r.Stream == "websocket" {
		if err := j.mayUpgrade(); err != nil {
			return err
		}
	}
	if in.Body != nil {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "the body could not be read")
		}
		j.body = body
	}
	return j.convert()
}

// rewrite makes the request that each try is made of.
func (r *route) rewrite(p *httputil.ProxyRequest) {
	j := jobOf(p.Out)
	p.Out.Host = ""
	if host := r.Headers.Set["Host"]; host != "" {
		j.host = host
	}
	rewrite(p.Out.URL, r.path, j.in)
	p.Out.URL.RawQuery = j.in.URL.RawQuery
	if r.method != nil {
		p.Out.Method, p.Out.URL.Path, p.Out.URL.RawPath, p.Out.URL.RawQuery = http.MethodPost, "/"+r.GRPC.Method, "", ""
	}
	j.request(p.Out.Header, j.in)
}

// RoundTrip sends the call to its side, and where it may, to what stands in for it.
func (r *route) RoundTrip(out *http.Request) (*http.Response, error) {
	j := jobOf(out)
	first := r.side(j.caller)
	answer, err := first.send(j, out)
	failed := err != nil || failing(answer)
	if !failed || r.Fallback == nil || j.upgrade || j.ctx.Err() != nil && !errors.Is(context.Cause(j.ctx), errOverall) {
		return answer, err
	}
	if !j.safe && !errs.Is(err, errs.UpstreamUnavailable) {
		return answer, err // it may have been executed
	}
	if answer != nil {
		answer.Body.Close()
	}
	if r.second != nil {
		j.degraded = "second"
		r.d.Observe(first.name, "second")
		return r.second.send(j, out)
	}
	j.degraded = "default"
	r.d.Observe(first.name, "default")
	return r.Fallback.answer(out), nil
}

// answer is the default answer, in the form that callers know.
func (f *Fallback) answer(out *http.Request) *http.Response {
	h := http.Header{"Content-Type": {cmp.Or(f.Type, "application/json")}, "Cache-Control": {"no-store"}}
	return &http.Response{
		StatusCode: f.Status, Status: http.StatusText(f.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(f.Body)), ContentLength: int64(len(f.Body)), Request: out,
	}
}

// modify makes our answer of the upstream's.
func (r *route) modify(a *http.Response) error {
	j := jobOf(a.Request)
	if a.StatusCode == http.StatusSwitchingProtocols && !j.upgrade {
		return j.lostAnswer(errors.New("an upgrade that nobody asked for"))
	}
	if a.StatusCode == http.StatusSwitchingProtocols || r.Stream == "events" && a.StatusCode < 300 {
		j.head()
	}
	if a.StatusCode != http.StatusSwitchingProtocols && r.Stream != "" {
		a.Body = j.stream(a.Body)
	}
	j.answered(a, j.said)
	if j.degraded == "default" {
		return nil
	}
	if r.Problems == "wrap" && a.StatusCode >= 400 && !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") {
		return j.wrapped(a)
	}
	return j.convertAnswer(a)
}

// failed answers with a problem.
func (r *route) failed(_ http.ResponseWriter, out *http.Request, err error) {
	j := jobOf(out)
	if _, ok := errors.AsType[*errs.Error](err); !ok && !errors.Is(err, context.Canceled) {
		err = j.lostAnswer(err)
	}
	r.d.Fail(j.in, err)
}

// wrapped gives an upstream's answer a type of ours. What it says stays behind.
func (j *job) wrapped(a *http.Response) error {
	code, detail := errs.UpstreamFailed, "the service behind this call refused it"
	switch a.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		code = errs.Invalid
	case http.StatusForbidden:
		code = errs.Forbidden
	case http.StatusNotFound, http.StatusGone:
		code, detail = errs.NotFound, "there is no such thing"
	case http.StatusMethodNotAllowed:
		code = errs.MethodNotAllowed
	case http.StatusConflict:
		code = errs.Conflict
	case http.StatusRequestEntityTooLarge:
		code = errs.TooLarge
	case http.StatusUnsupportedMediaType:
		code = errs.UnsupportedMedia
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return j.lostAnswer(errors.New(a.Status)) // somebody between us and the service lost it
	}
	if a.StatusCode >= 500 {
		detail = "the service behind this call failed"
	}
	e := errs.New(code, "%s", detail)
	e.Extra = map[string]any{"upstreamStatus": a.StatusCode}
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && seconds >= 0 && seconds <= 86_400 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
