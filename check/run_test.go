package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/clock"
)

// impatient is a clock whose timers fire at once and move it, so that nothing waits.
type impatient struct{ *clock.Fake }

func (c impatient) NewTimer(d time.Duration) clock.Timer {
	c.Advance(d)
	return c.Fake.NewTimer(0)
}

func quick() Options {
	return Options{Clock: impatient{clock.NewFake(opening)}, Wait: time.Second, Route: testRoute}
}

func verdictOf(rep *Report, id string) Invariant {
	for _, v := range rep.Invariants {
		if v.ID == id {
			return v
		}
	}
	return Invariant{}
}

// Without a history what needs one is not-run, and not-run is never pass.
func TestWithoutHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	rep, err := Run(t.Context(), Dir(dir), quick())
	if err != nil || rep.Verdict != Pass {
		t.Fatalf("%v\n%s", err, rep.Text())
	}
	for _, id := range []string{"I3", "I5", "I6"} {
		if v := verdictOf(&rep, id); v.Verdict != NotRun || v.Note == "" {
			t.Errorf("%s is %s (%s)", id, v.Verdict, v.Note)
		}
	}
	out, err := json.Marshal(rep)
	if err != nil || !strings.Contains(string(out), `"verdict":"pass","invariants":[{"id":"I1"`) {
		t.Errorf("%s %v", out, err)
	}
}

// An empty server has nothing to look at, and the report says that instead of passing.
func TestEmptyWorldIsNotRun(t *testing.T) {
	t.Parallel()
	src := Source{
		Export:   func(context.Context, string, io.Writer) error { return nil },
		Snapshot: func(context.Context) (Snapshot, error) { return Snapshot{}, nil },
	}
	rep, err := Run(t.Context(), src, quick())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range rep.Invariants {
		if v.Verdict != NotRun {
			t.Errorf("%s is %s", v.ID, v.Verdict)
		}
	}
}

// A server that never drains fails the check and the report says what was in flight; when told not to wait, orders that are on
// their way are not missing.
func TestNeverDrained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := make1(t)
	id := m.find("orders", "user", "fay")["id"]
	m.drop("orders", func(r row) bool { return r["id"] == id })
	m.drop("order-events", func(r row) bool { return r["order"] == id })
	m.save(dir)
	src := Dir(dir)
	src.InFlight = func(context.Context) (map[string]int64, error) { return map[string]int64{"bus": 3, "writer": 0}, nil }
	rep, err := Run(t.Context(), src, quick())
	if err != nil || rep.Verdict != Fail || rep.Drained || !strings.Contains(rep.Text(), "not drained within 1s: bus 3") {
		t.Errorf("%v\n%s", err, rep.Text())
	}
	o := quick()
	o.Wait = -1
	if rep, err = Run(t.Context(), src, o); err != nil || rep.Verdict != Pass || rep.Figures["onTheirWay"] != 1 {
		t.Errorf("%v\n%s", err, rep.Text())
	}
}

// When the stock moves while the exports are read, the check reads again.
func TestMovingStockIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	src := Dir(dir)
	inner, calls := src.Snapshot, 0
	src.Snapshot = func(ctx context.Context) (Snapshot, error) {
		s, err := inner(ctx)
		if calls++; calls == 1 {
			s.Stock[0].Available--
			s.Stock[0].Held++
		}
		return s, err
	}
	if rep, err := Run(t.Context(), src, quick()); err != nil || rep.Verdict != Pass || calls != 4 {
		t.Errorf("%d snapshots, %v\n%s", calls, err, rep.Text())
	}
}

// serve puts a directory of exports behind the admin API, a page of one sale at a time.
func serve(t *testing.T, dir string, cut bool) *httptest.Server {
	t.Helper()
	src := Dir(dir)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/v1/export/{name}", func(w http.ResponseWriter, r *http.Request) {
		if err := src.Export(r.Context(), r.PathValue("name"), w); err != nil {
			t.Error(err)
		}
		if cut && r.PathValue("name") == "claims" {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("GET /admin/v1/sales", func(w http.ResponseWriter, r *http.Request) {
		s, err := src.Snapshot(r.Context())
		page := map[string]any{"items": s.Sales}
		if r.FormValue("cursor") == "" {
			page = map[string]any{"items": []Sale{{ID: "other"}}, "next": "2&x"}
		}
		if err = errors.Join(err, json.NewEncoder(w).Encode(page)); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /admin/v1/stock", func(w http.ResponseWriter, r *http.Request) {
		s, err := src.Snapshot(r.Context())
		if err = errors.Join(err, json.NewEncoder(w).Encode(map[string]any{"items": s.Stock})); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /admin/v1/drained", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"drained":true,"inFlight":{"bus":0}}`)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer op" {
			http.Error(w, `{"type":"/problems/unauthenticated"}`, http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// A running server is judged through its admin API exactly as its saved exports are.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	srv := serve(t, dir, false)
	rep, err := Run(t.Context(), HTTP(srv.URL+"/", "op", srv.Client()), quick())
	if err != nil || rep.Verdict != Pass || rep.Figures["claims"] != 14 {
		t.Errorf("%v\n%s", err, rep.Text())
	}
	if _, err = Run(t.Context(), HTTP(srv.URL, "wrong", srv.Client()), quick()); !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "{") {
		t.Errorf("with a wrong token: %v", err)
	}
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"type":"/problems/not-found","title":"Not found","status":404}`)
	}))
	defer public.Close()
	if _, err = Run(t.Context(), HTTP(public.URL, "op", public.Client()), quick()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "is it the admin listener") || strings.Contains(err.Error(), "{") {
		t.Errorf("the public listener: %v", err)
	}
}

// An export that breaks off is an error, not a short world.
func TestCutExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make1(t).save(dir)
	srv := serve(t, dir, true)
	if rep, err := Run(t.Context(), HTTP(srv.URL, "op", srv.Client()), quick()); err == nil {
		t.Errorf("no error\n%s", rep.Text())
	}
	if _, err := Run(t.Context(), Dir(filepath.Join(dir, "nowhere")), quick()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
