package upstream

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"penstock/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a front that forwards by the routes of a test.
type bench struct {
	t     testing.TB
	set   *Set
	front *httptest.Server
	clock *clock.Fake
	drain chan struct{}
	deps  Deps

	mu     sync.Mutex
	events map[string]int
}

// setup makes the front. text has upstreams and routes as a policy file does; $NAME in it stands for the values given by pairs.
func setup(t testing.TB, text string, pairs ...string) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)), drain: make(chan struct{}), events: map[string]int{}}
	b.deps = Deps{
		Clock: b.clock, Drain: b.drain, Dir: "testdata",
		Caller: func(r *http.Request) Caller {
			user, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			return Caller{User: user, RequestID: "req-1", Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Client: netip.MustParseAddr("192.0.2.7")}
		},
		Fail: func(r *http.Request, err error) {
			e := wireOf(err)
			w := r.Context().Value(writerKey{}).(http.ResponseWriter)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(e.Status)
			_ = json.NewEncoder(w).Encode(e)
		},
		Observe: func(_, what string) { b.mu.Lock(); b.events[what]++; b.mu.Unlock() },
	}
	b.use(text, pairs...)
	b.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, ok := b.now().Match(r)
		if !ok {
			http.Error(w, "no route", http.StatusNotFound)
			return
		}
		r = r.WithContext(withWriter(r.Context(), w))
		if e.Validate != nil {
			if err := e.Validate(r); err != nil {
				b.deps.Fail(r, err)
				return
			}
		}
		w.Header().Set("X-Request-Id", "req-1")
		e.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		b.front.CloseClientConnections()
		b.front.Close()
		b.now().Retire(nil)
		http.DefaultClient.CloseIdleConnections()
	})
	return b
}

type file struct {
	Upstreams map[string]Upstream `yaml:"upstreams"`
	Routes    []Route             `yaml:"routes"`
}

func read(text string, pairs ...string) (f file, err error) {
	return f, yaml.Unmarshal([]byte(strings.NewReplacer(pairs...).Replace(text)), &f)
}

// use brings other routes into use, as a policy does.
func (b *bench) use(text string, pairs ...string) {
	b.t.Helper()
	f, err := read(text, pairs...)
	if err != nil {
		b.t.Fatal(err)
	}
	made, err := New(f.Upstreams, f.Routes, b.deps, b.set)
	if err != nil {
		b.t.Fatal(err)
	}
	made.Start()
	b.mu.Lock()
	old := b.set
	b.set = made
	b.mu.Unlock()
	old.Retire(made)
}

func (b *bench) now() *Set { b.mu.Lock(); defer b.mu.Unlock(); return b.set }

func (b *bench) count(event string) int { b.mu.Lock(); defer b.mu.Unlock(); return b.events[event] }

// answer is what a caller gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is the last part of the type, "" for no problem of ours.
func (a answer) problem() string {
	var p wire
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Type
}

func (b *bench) call(method, path, body string, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.front.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// server is an upstream that counts its calls.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	calls []*http.Request
	body  []string
}

func serve(t testing.TB, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(s.wrap(h))
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *server) wrap(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.calls, s.body = append(s.calls, r), append(s.body, string(body))
		s.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h(w, r)
	}
}

func (s *server) count() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.calls) }

func (s *server) last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[len(s.calls)-1], s.body[len(s.body)-1]
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// until polls for what must become true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}
