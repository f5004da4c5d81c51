package partner

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/auth"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/partner/signature"
)

var noon = time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC)

// engine makes databases and opens them, as often as a test likes.
type engine struct {
	place func(t testing.TB) string
	open  func(t testing.TB, where string) Store
}

func onSQLite() engine {
	return engine{
		place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "apps.db") },
		open: func(t testing.TB, where string) Store {
			t.Helper()
			s, err := OpenSQLite(t.Context(), where, groupcommit.Options{})
			check(t, err)
			return s
		},
	}
}

func onMySQL(server *engines.Server) engine {
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string) Store {
			t.Helper()
			c, err := mysql.Parse(where)
			check(t, err)
			db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 8})
			check(t, err)
			t.Cleanup(func() { db.Close() })
			s, err := OpenMySQL(t.Context(), db, sqldb.Options{})
			check(t, err)
			return s
		},
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is one process with its apps, its key ring, its trail and its log.
type world struct {
	*Apps
	t     testing.TB
	clock clock.Clock
	ring  *auth.Ring
	mu    *sync.Mutex
	acts  *[]Act
	log   *safeBuffer
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t testing.TB, e engine, c clock.Clock, edit ...func(*Options)) *world {
	t.Helper()
	return openWorld(t, e.open(t, e.place(t)), c, edit...)
}

func openWorld(t testing.TB, db Store, c clock.Clock, edit ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, clock: c, mu: new(sync.Mutex), acts: new([]Act), log: &safeBuffer{}}
	var err error
	w.ring, err = auth.Open(filepath.Join(t.TempDir(), "keys.json"), auth.Options{Clock: c})
	check(t, err)
	box, err := NewSealer(bytes.Repeat([]byte("k"), 32))
	check(t, err)
	o := Options{
		Clock: c, Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Issue: w.ring.Sign,
		Audit: func(_ context.Context, a Act) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			*w.acts = append(*w.acts, a)
			return nil
		},
	}
	for _, f := range edit {
		f(&o)
	}
	w.Apps, err = New(db, box, o)
	check(t, err)
	check(t, w.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// made is an app with its secrets.
type made struct {
	App
	client, signing Secret
}

func (w *world) create(apis ...string) made {
	w.t.Helper()
	app, secrets, err := w.Create(w.t.Context(), "op", Definition{Name: "acme", APIs: apis})
	check(w.t, err)
	if len(secrets) != 2 || secrets[0].Use != OAuth2 || secrets[1].Use != Signing {
		w.t.Fatalf("secrets %v", secrets)
	}
	return made{app, secrets[0], secrets[1]}
}

// call is a request that an app may sign.
type call struct {
	method, target, body string
	header               http.Header
}

func buy() call {
	return call{"POST", "/v1/sales/s/attempts?trace=1&x=%2F", `{"sku":"tea","quantity":1}`, http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {`"k-1"`},
	}}
}

func (c call) request() *http.Request {
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	r := httptest.NewRequest(c.method, c.target, body)
	r.Host = "Shop.example.com:8080"
	for k, v := range c.header {
		r.Header[k] = v
	}
	return r
}

// signed signs the call now, as the app does.
func (w *world) signed(c call, s Secret, edit ...func(*signature.Input)) *http.Request {
	w.t.Helper()
	r := c.request()
	in := signature.Input{Created: w.clock.Now().Unix(), Nonce: rand.Text(), KeyID: s.ID, Alg: signature.Algorithm}
	for _, f := range edit {
		f(&in)
	}
	check(w.t, signature.Sign(r, []byte(c.body), in, []byte(s.Text)))
	return r
}

func (w *world) verify(r *http.Request, body string) (auth.Identity, error) {
	return w.Verify(w.t.Context(), r, []byte(body))
}
