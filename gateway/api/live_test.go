package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/console"
	"penstock/errs"
)

// withLive gives the admin listener a hub with one topic that counts.
func withLive(t testing.TB, d *Deps) *atomic.Int64 {
	n := &atomic.Int64{}
	hub := console.New(map[string]console.Kind{"n": {Open: func(_ context.Context, arg string) (console.Source, func(), error) {
		if arg == "missing" {
			return nil, nil, errs.New(errs.NotFound, "no such thing")
		}
		return func(context.Context) (any, error) { return n.Load(), nil }, nil, nil
	}}}, console.Options{Every: 10 * time.Millisecond})
	t.Cleanup(hub.Stop)
	d.Desk.Live = hub
	return n
}

// lines reads a stream, a line at a time.
func lines(t *testing.T, h *house, path, last string) (read func() string, resp *http.Response) {
	t.Helper()
	srv := httptest.NewServer(h.admin)
	t.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.tokens["operator"])
	r.Header.Set("Last-Event-ID", last)
	resp, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	b := bufio.NewScanner(resp.Body)
	return func() string {
		for b.Scan() {
			if s := b.Text(); s != "" && s != ":" {
				return s
			}
		}
		return ""
	}, resp
}

// A stream tells the present, then each change, ends when the server drains, and a page that comes back is told what is newer.
func TestLiveStream(t *testing.T) {
	t.Parallel()
	var n *atomic.Int64
	h := setup(t, func(d *Deps) { n = withLive(t, d) })
	read, resp := lines(t, h, "/admin/v1/live?topic=n:a", "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	id := read()
	if event, data := read(), read(); !strings.HasPrefix(id, "id: ") || event != "event: n" || data != `data: {"topic":"n:a","now":0}` {
		t.Fatalf("got %q %q %q", id, event, data)
	}
	n.Add(1)
	newer := read()
	if _, data := read(), read(); data != `data: {"topic":"n:a","now":1}` {
		t.Errorf("after a change: %q", data)
	}
	again, _ := lines(t, h, "/admin/v1/live?topic=n:a", strings.TrimPrefix(id, "id: "))
	if got := again(); got != newer {
		t.Errorf("after %s: %q, want %q", id, got, newer)
	}
	h.drain.Begin()
	if rest := read(); rest != "" {
		t.Errorf("a server that drains goes on: %q", rest)
	}
}

// Who names no topic, or one that does not exist, is told so before the stream begins.
func TestLiveRefusals(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for path, code := range map[string]errs.Code{"": errs.Invalid, "?topic=x": errs.Invalid, "?topic=n:missing": errs.NotFound} {
		problem(t, h.ask(h.admin, "operator", "GET /admin/v1/live"+path), code)
	}
	problem(t, h.ask(h.admin, "user", "GET /admin/v1/live?topic=n:a"), errs.Forbidden)
	problem(t, h.ask(h.admin, "anonymous", "GET /admin/v1/live?topic=n:a"), errs.Unauthenticated)
}
