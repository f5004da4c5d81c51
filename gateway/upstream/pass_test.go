package upstream

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const plainRoute = `
upstreams: {shop: {targets: [$SHOP]}}
routes:
  - {match: "/ext/{rest...}", upstream: shop, path: "/v2/{rest}", headers: {set: {X-Shop: main}, remove: [X-Noise]}, answer: {remove: [X-Inner]}}
`

// A call arrives with its method, path, query and body; what is ours to say is ours, what is about one hop or secret stays.
func TestWhatTheUpstreamSees(t *testing.T) {
	t.Parallel()
	s := serve(t, says("hello"))
	b := setup(t, plainRoute, "$SHOP", s.URL)
	a := b.call("POST", "/ext/a%20b/c?q=1&q=2", "body", "Authorization", "Bearer alice", "Cookie", "session=1", "X-User", "mallory", "X_User", "mallory",
		"X-Forwarded-For", "10.0.0.1", "X-Forwarded-Host", "evil", "Forwarded", "for=10.0.0.1", "X-Real-Ip", "10.0.0.1", "Connection", "X-Secret", "X-Secret", "1", "X-Noise", "1",
		"X-Role", "operator", "Traceparent", "00-11111111111111111111111111111111-1111111111111111-01", "Tracestate", "a=b", "X-Request-Id", "evil", "Keep-Alive", "1", "Idempotency-Key", "k", "X-Fine", "yes",
		"X-Http-Method-Override", "DELETE", "X-Original-Url", "/v2/admin", "X-Rewrite-Url", "/v2/admin", "True-Client-Ip", "10.0.0.1")
	if a.status != 200 || a.body != "hello" {
		t.Fatalf("%+v", a)
	}
	r, body := s.last()
	if r.Method != "POST" || r.RequestURI != "/v2/a%20b/c?q=1&q=2" || body != "body" || r.ContentLength != 4 {
		t.Errorf("%s %s %q", r.Method, r.RequestURI, body)
	}
	for name, want := range map[string]string{
		"X-User": "alice", "X-Role": "", "Authorization": "", "Cookie": "", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http", "Forwarded": "", "X-Real-Ip": "",
		"X-Forwarded-Host": strings.TrimPrefix(b.front.URL, "http://"), "X-Secret": "", "X-Noise": "", "X-Shop": "main", "X-Fine": "yes", "Tracestate": "", "X-Request-Id": "req-1", "Keep-Alive": "",
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Idempotency-Key": "k", "X_user": "",
		"X-Http-Method-Override": "", "X-Original-Url": "", "X-Rewrite-Url": "", "True-Client-Ip": "",
	} {
		if got := strings.Join(r.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Host != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("host %q", r.Host)
	}
}

// Callers learn nothing of what is behind, and an upstream's own answer passes as it is, errors included.
func TestWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	var place string
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, v := range map[string]string{"Server": "nginx", "X-Powered-By": "PHP", "Via": "a", "X-Inner": "1", "X-Request-Id": "theirs", "Location": place + "/v2/x", "Etag": `"1"`, "Trailer": "X-Late"} {
			h.Set(name, v)
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("no coffee"))
		h.Set("X-Late", "secret")
	})
	place = s.URL
	a := setup(t, plainRoute, "$SHOP", s.URL).call("GET", "/ext/x", "")
	if a.status != http.StatusTeapot || a.body != "no coffee" || a.header.Get("Etag") != `"1"` || a.header.Get("Location") != "/v2/x" || a.header.Get("X-Request-Id") != "req-1" || len(a.header["X-Request-Id"]) != 1 {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Via", "X-Inner", "X-Late"} {
		if a.header.Get(name) != "" {
			t.Errorf("%s passes", name)
		}
	}
}

// HTTP/2 by prior knowledge, over TLS by its own authority, and HTTP/1.1 where the file says so.
func TestProtocols(t *testing.T) {
	t.Parallel()
	clear := &server{}
	clear.Server = httptest.NewUnstartedServer(clear.wrap(says("h2c")))
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	t.Cleanup(clear.Close)
	secret := &server{}
	secret.Server = httptest.NewUnstartedServer(secret.wrap(says("h2")))
	secret.EnableHTTP2 = true
	secret.StartTLS()
	t.Cleanup(secret.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secret.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	b := setup(t, `
upstreams:
  clear: {targets: [$CLEAR], protocol: http2}
  secret: {targets: [$SECRET], tls: {ca: $CA}}
  one: {targets: [$SECRET], protocol: http1, tls: {ca: $CA}}
  doubted: {targets: [$SECRET]}
routes:
  - {match: "/clear", upstream: clear}
  - {match: "/secret", upstream: secret}
  - {match: "/one", upstream: one}
  - {match: "/doubted", upstream: doubted}
`, "$CLEAR", clear.URL, "$SECRET", secret.URL, "$CA", ca)
	for path, want := range map[string]string{"/clear": "HTTP/2.0", "/secret": "HTTP/2.0", "/one": "HTTP/1.1"} {
		if a := b.call("POST", path, "x"); a.status != 200 {
			t.Fatalf("%s: %+v", path, a)
		}
		s := secret
		if path == "/clear" {
			s = clear
		}
		if r, body := s.last(); r.Proto != want || body != "x" {
			t.Errorf("%s came by %s with %q", path, r.Proto, body)
		}
	}
	if a := b.call("POST", "/doubted", "x"); a.problem() != "upstream-unavailable" {
		t.Errorf("a certificate of nobody: %+v", a)
	}
}

// Paths that two readers could take for two things have no route.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	s := serve(t, says("in"))
	b := setup(t, plainRoute, "$SHOP", s.URL)
	for _, path := range []string{"/ext/../admin", "/ext/%2e%2e/admin", "/ext/a%2fb", "/ext/a%5cb", "/ext//a", "/ext/a%00", "/ext/a/", "/ext/a;b", "/ext/a%0d%0ab", "/ext/./a"} {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse("http://x" + path)
		if err != nil {
			continue
		}
		u.Path, u.RawPath = mustUnescape(path), path
		r.URL = u
		if _, ok := b.now().Match(r); ok {
			t.Errorf("%s has a route", path)
		}
	}
	if a := b.call("GET", "/ext/a?q=%zz", ""); a.problem() != "invalid-request" || s.count() != 0 {
		t.Errorf("%+v", a)
	}
}

func mustUnescape(path string) string {
	u, err := url.PathUnescape(path)
	if err != nil {
		panic(err)
	}
	return u
}
