//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The load generator makes each call once, reads each answer whole, and counts no more answers than the server gave.
func TestLoadCountsAnswers(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	var calls sync.Map
	var twice atomic.Bool
	peer := echo()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if _, again := calls.LoadOrStore(r.Header.Get("Idempotency-Key"), true); again {
			twice.Store(true)
		}
		peer.ServeHTTP(w, r)
	}))
	defer s.Close()
	b := &bench{o: options{conns: 8}}
	c := contest{addrs: []string{strings.TrimPrefix(s.URL, "http://")}, status: http.StatusCreated}
	l := b.load(c, "/win", func(int64) string { return "p" })
	got, err := l.run(10*time.Millisecond, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got.answers == 0 || got.answers > served.Load() || got.body == 0 || twice.Load() {
		t.Errorf("counted %d answers of %d served, bodies of %d bytes", got.answers, served.Load(), got.body)
	}
}

// A wrong status, an answer cut short and an answer without a length end the run with an error instead of a figure.
func TestLoadRefusesWrongAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"length": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			w.(http.Flusher).Flush()
		},
	} {
		s := httptest.NewServer(h)
		b := &bench{o: options{conns: 1}}
		c := contest{addrs: []string{strings.TrimPrefix(s.URL, "http://")}, status: http.StatusCreated}
		_, err := b.load(c, "/", func(int64) string { return "p" }).run(0, time.Second)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		s.Close()
	}
}

// Medians and ratios are what their names say.
func TestSpread(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff(spread{2.5, 1, 4}, of([]float64{4, 1, 3, 2}), cmp.AllowUnexported(spread{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(spread{0.5, 0.5, 0.5}, over([]float64{1, 2}, []float64{2, 4}), cmp.AllowUnexported(spread{})); d != "" {
		t.Error(d)
	}
}

// The bare group commit writes what it counts.
func TestGroupCommitWritesItsRows(t *testing.T) {
	t.Parallel()
	g, err := openGroupCommit(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.run(time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var rows, held int64
	if err := g.db.R.QueryRow("SELECT (SELECT count(*) FROM journal), held FROM stock").Scan(&rows, &held); err != nil {
		t.Fatal(err)
	}
	if rows != got.answers || held != rows || rows == 0 {
		t.Errorf("counted %d rows; the journal has %d, the stock row %d", got.answers, rows, held)
	}
}
