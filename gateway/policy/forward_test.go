package policy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/gateway"
	"penstock/gateway/upstream"
)

func forwarding() Rooms {
	r := rooms()
	r.Forward = &upstream.Deps{}
	return r
}

// The examples of the page load, the second one in a process without calls of its own.
func TestTheExamplesOfUpstreams(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/upstreams.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(page), "```yaml\n")
	if len(parts) != 3 {
		t.Fatalf("the page has %d examples", len(parts)-1)
	}
	front := forwarding()
	front.Routes = nil
	for i, r := range []Rooms{forwarding(), front} {
		text, _, _ := strings.Cut(parts[i+1], "```")
		b, err := r.build([]byte(text), nil)
		if err != nil {
			t.Fatalf("example %d: %v", i+1, err)
		}
		for _, route := range b.policy.Upstreams.Routes() {
			if b.routes[route.Name] != route.Access {
				t.Errorf("%s is not known", route.Name)
			}
		}
	}
}

// What is wrong with upstreams and routes is told with its line, its key and something that would work.
func TestBadUpstreamsSayWhy(t *testing.T) {
	t.Parallel()
	const up = "upstreams:\n  shop: {targets: [\"http://h:1\"]}\n"
	for text, want := range map[string]string{
		"upstreams:\n  shop: {targets: [h:1]}":                                                                                                    `line 2: upstreams.shop.targets[0]: "h:1" is no target`,
		"upstreams:\n  shop: {targets: [\"http://h:99999\"]}":                                                                                     "a port is from 1 to 65535",
		"upstreams:\n  shop: {}":                                                                                                                  "line 2: upstreams.shop: has no targets; write for example targets: [",
		"upstreams:\n  shop: {target: []}":                                                                                                        "did you mean targets?",
		"upstreams:\n  shop: {targets: [\"http://h:1\"], protocol: spdy}":                                                                         `line 2: upstreams.shop.protocol: "spdy" is none of http1, http2`,
		"upstreams:\n  shop: {targets: [\"http://h:1\"], breaker: shop}":                                                                          `upstreams.shop.breaker: "shop" is not among breakers; write for example breakers: {shop:`,
		"upstreams:\n  shop: {targets: [\"http://h:1\"], tls: {ca: nowhere.pem}}":                                                                 "upstreams.shop.tls: open nowhere.pem",
		up + "routes:\n  - {match: GET /x, upstream: shopp}":                                                                                      `line 4: routes[0].upstream: "shopp" is not among upstreams`,
		up + "routes:\n  - {match: x, upstream: shop}":                                                                                            `line 4: routes[0].match: "x" must be a method and a path`,
		up + "routes:\n  - {match: \"GET /{\", upstream: shop}":                                                                                   "routes[0].match",
		up + "routes:\n  - {match: \"GET /a/{x}\", upstream: shop}\n  - {match: \"GET /{x}/a\", upstream: shop}":                                  "cannot be: pattern \"GET /{x}/a\" conflicts with pattern \"GET /a/{x}\"; write",
		up + "routes:\n  - {match: GET /x, upstream: shop}\n  - {match: GET /x, upstream: shop}":                                                  "line 5: routes[1].match: \"GET /x\" is the match of another route too",
		up + "routes:\n  - {match: get /x, upstream: shop}":                                                                                       "in small letters",
		up + "routes:\n  - {match: GET /v1/orders, upstream: shop}":                                                                               "is a call of our own",
		up + "routes:\n  - {match: GET /x, upstream: shop, path: \"/{y}\"}":                                                                       "has {y}, which match has not",
		up + "routes:\n  - {match: POST /x, upstream: shop, hedge: 1s}":                                                                           `line 4: routes[0].hedge: "1s" is for GET and HEAD only`,
		up + "routes:\n  - {match: GET /x, upstream: shop, timeout: soon}":                                                                        `routes[0].timeout: "soon" is no duration`,
		up + "routes:\n  - {match: GET /x, upstream: shop, identity: true, fallback: {status: 200}}":                                              "who somebody is, and that is never guessed",
		up + "routes:\n  - {match: POST /x, upstream: shop, fallback: {status: 200}}":                                                             "would say that it was done",
		up + "routes:\n  - {match: POST /x, upstream: shop, request: {from: json, to: xml}}":                                                      "must be the name of the outer element",
		up + "routes:\n  - {match: POST /x, upstream: shop, request: {from: json, to: form, fields: [{from: a, to: /b}]}}":                        `routes[0].request.fields[0].from: "a" is no JSON pointer`,
		up + "routes:\n  - {match: GET /x, upstream: shop, openapi: nowhere.yaml}":                                                                "routes[0].openapi",
		up + "routes:\n  - {match: GET /x, upstream: shop, grpc: {descriptors: x, method: a/b}}":                                                  "must speak http2",
		up + "routes:\n  - {match: GET /x, upstream: shop, access: all}":                                                                          `"all" is none of user, anyone, app, operator`,
		up + "routes:\n  - {match: GET /x, upstream: shop, headers: {set: {X-User: root}}}":                                                       "routes[0].headers.set.X-User: \"root\" cannot be set",
		up + "routes:\n  - {match: GET /x, split: [{upstream: shop, weight: 0}]}":                                                                 "needs a weight above 0",
		"upstreams:\n  shop: {targets: [\"http://h:1\", \"http://h:2\", \"http://h:1\"]}":                                                         "line 2: upstreams.shop.targets[2]: \"http://h:1\" stands there twice",
		"upstreams:\n  shop: {targets: [\"http://h:1\"], health: {path: /, down: 0}}":                                                             `upstreams.shop.health.down: "0" is not more than 0`,
		up + "routes:\n  - {match: GET /x, upstream: shop, timeout: 0s}":                                                                          `routes[0].timeout: "0s" is not more than 0`,
		up + "routes:\n  - {match: GET /x, upstream: shop, stream: websocket, origins: [\"*\"]}":                                                  `routes[0].origins[0]: "*" is no site`,
		up + "routes:\n  - {match: GET /x, upstream: shop, stream: websocket, origins: [\"https://a.example/\"]}":                                 "is no site: scheme and host",
		up + "routes:\n  - {match: POST /x, upstream: shop, request: {from: json, to: form, fields: [{from: /a, to: /c}, {from: /b, to: /c}]}}":   `routes[0].request.fields[1].to: "/c" is where another field goes`,
		up + "routes:\n  - {match: POST /x, upstream: shop, request: {from: json, to: json, fields: [{from: /a, to: /c/d}, {from: /b, to: /c}]}}": "is where another field goes",
		up + "routes:\n  - {match: GET /x, upstream: shop}\nrules:\n  - match: [GET /y]":                                                          "did you mean GET /x?",
	} {
		err := forwarding().Check([]byte(text))
		if p, ok := errors.AsType[*Problem](err); !ok || !strings.Contains(err.Error(), want) || p.Line == 0 || p.Example == "" {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

type nobody struct{}

func (nobody) Route(*http.Request) gateway.Route {
	return gateway.Route{Name: gateway.Unmatched, Access: gateway.ByAnyone, Handler: http.NotFoundHandler()}
}

type verifier struct{}

func (verifier) Verify(token string) (auth.Identity, error) {
	if token == "bad" {
		return auth.Identity{}, errs.New(errs.Unauthenticated, "no")
	}
	return auth.Identity{User: token}, nil
}

// Through the real chain: who must be known is asked, the problem is ours, and while calls go on routes move from one upstream to
// another as a whole. No call fails or sees both.
func TestRoutesSwapWhileCallsGoOn(t *testing.T) {
	t.Parallel()
	var urls []string
	for _, name := range []string{"one", "two"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, name+r.URL.Path+r.Header.Get("X-User"))
		}))
		defer s.Close()
		urls = append(urls, s.URL)
	}
	r := forwarding()
	r.Routes, r.Limits = nil, nil
	file := t.TempDir() + "/gateway.yaml"
	write := func(i int) {
		text := "limits: []\nupstreams: {shop: {targets: [\"" + urls[i] + "\"], health: {path: /}}}\nroutes: [{match: GET /a, upstream: shop, path: /" + []string{"1", "2"}[i] + "}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	live, err := Open(file, r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(verifier{}, nobody{}, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(live.Attach(g), live.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Stop(t.Context()) }()
	call := func(token string) (int, string) {
		q := httptest.NewRequest("GET", "/a", nil)
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, q)
		return w.Code, w.Body.String()
	}
	if status, text := call(""); status != http.StatusUnauthorized || !strings.Contains(text, "/problems/unauthenticated") {
		t.Errorf("%d %s", status, text)
	}
	var stop atomic.Bool
	var calls atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for !stop.Load() {
				calls.Add(1)
				if status, text := call("ann"); status != 200 || text != "one/1ann" && text != "two/2ann" {
					t.Errorf("%d %s", status, text)
					return
				}
			}
		})
	}
	for i := range 40 {
		write(i % 2)
		if _, err := live.Reload(); err != nil {
			t.Error(err)
		}
		if _, text := call("ann"); text != []string{"one/1ann", "two/2ann"}[i%2] {
			t.Errorf("after the swap: %s", text)
		}
	}
	stop.Store(true)
	all.Wait()
	t.Logf("%d calls over 40 swaps", calls.Load())
}

func (verifier) VerifyPass(string, time.Time) (user, sale string, err error) {
	return "", "", errs.New(errs.Unauthenticated, "no")
}
