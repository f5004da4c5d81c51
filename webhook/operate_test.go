package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

// A delivery that was given up is made again under its old id; one that waits behind another cannot overtake.
func testReplayOne(t *testing.T, e engine) {
	w := begin(t, e, func(o *Options) { o.Retries = []time.Duration{time.Second} })
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusBadRequest) })
	w.say(message(1, "ann", "stock.held"))
	w.until(time.Second, "it is given up", func() bool { return w.states(ep.ID)[GivenUp] == 1 })
	first := r.got()[0].id
	if _, err := w.Replay(t.Context(), "op", ep.ID, 99, "no such"); !errs.Is(err, errs.NotFound) {
		t.Errorf("replay of nothing: %v", err)
	}
	w.say(message(2, "ann", "stock.sold"))
	w.say(message(3, "ann", "stock.sold"))
	if _, err := w.Replay(t.Context(), "op", ep.ID, 3, "hurry"); !errs.Is(err, errs.Conflict) {
		t.Errorf("replay of what waits: %v", err)
	}
	r.set(nil)
	d, err := w.Replay(t.Context(), "op", ep.ID, 1, "they fixed it")
	if err != nil || d.Replays != 1 {
		t.Fatalf("replay: %+v %v", d, err)
	}
	w.until(time.Second, "all are delivered", func() bool { return w.states(ep.ID)[Delivered] == 3 })
	n := 0
	for _, g := range r.got() {
		if g.id == first {
			n++
		}
	}
	if n != 3 || len(w.acts) < 3 {
		t.Errorf("%d requests carried the first id; trail %v", n, w.acts)
	}
}

// What an endpoint missed while it was disabled can be had again, with or without what it took.
func testReplaySince(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r, "stock.*")
	for i := range 13 {
		if i == 1 {
			w.until(soon, "ten are delivered", func() bool { return w.states(ep.ID)[Delivered] == 10 })
			if _, err := w.Disable(t.Context(), "op", ep.ID, "moving"); err != nil {
				t.Fatal(err)
			}
		}
		var batch []driver.Message
		for u := range 10 {
			batch = append(batch, message(10*i+u, fmt.Sprint("u", u), "stock.held"))
		}
		w.say(batch...)
	}
	if _, err := w.Enable(t.Context(), "op", ep.ID, "moved"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		since     time.Time
		delivered bool
		want      int
	}{{noon.Add(-time.Hour), false, 120}, {noon.Add(-time.Hour), true, 130}, {w.clk.Now().Add(time.Hour), true, 0}} {
		n, err := w.ReplaySince(t.Context(), "op", ep.ID, "missed", Past{c.since, c.delivered})
		if err != nil || n != c.want {
			t.Fatalf("replay since %v: %d, want %d: %v", c.since, n, c.want, err)
		}
		w.until(soon, "all are delivered", func() bool { s := w.states(ep.ID); return s[Delivered] == 130 })
	}
	if n := len(r.got()); n != 10+120+130 {
		t.Errorf("%d requests", n)
	}
}

// During the overlap a delivery verifies with the old and the new secret, after it with the new one only.
func testRotation(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	got, secret, err := w.Rotate(t.Context(), "op", ep.ID, "yearly", time.Hour)
	if err != nil || len(got.Secrets) != 2 {
		t.Fatalf("rotate: %+v %v", got, err)
	}
	r.trust(t, secret)
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "one", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	w.clk.Advance(2 * time.Hour)
	w.say(message(2, "ann", "stock.held"))
	w.until(soon, "two", func() bool { return w.states(ep.ID)[Delivered] == 2 })
	if all := r.got(); all[0].valid != 2 || all[1].valid != 1 {
		t.Errorf("verified by %d, then by %d", all[0].valid, all[1].valid)
	}
	if n := len(w.get(ep.ID).Secrets); n != 1 {
		t.Errorf("%d secrets after the overlap", n)
	}
	if _, _, err := w.Rotate(t.Context(), "op", ep.ID, "", 1000*time.Hour); !errs.Is(err, errs.Invalid) {
		t.Errorf("endless overlap: %v", err)
	}
}

// With one endpoint that never answers and one that nobody listens at, a third gets everything at once, and the bus waits for none.
func testIsolation(t *testing.T, e engine) {
	w := begin(t, e, func(o *Options) { o.Timeout = 20 * time.Second })
	stuck, dead, good := newReceiver(t, w.clk), newReceiver(t, w.clk), newReceiver(t, w.clk)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	stuck.set(func(http.ResponseWriter, got, int) { <-hold })
	w.endpoint(stuck)
	w.endpoint(dead)
	dead.Close()
	ep := w.endpoint(good)
	begun := time.Now()
	for i := range 40 {
		w.say(message(i, fmt.Sprint("u", i), "stock.held"))
	}
	queued := time.Since(begun)
	w.until(soon, "the good one has all", func() bool { return w.states(ep.ID)[Delivered] == 40 })
	t.Logf("queued in %v, delivered in %v", queued, time.Since(begun))
	if stuck.mu.Lock(); stuck.most > 4 {
		t.Errorf("the stuck one had %d requests at a time", stuck.most)
	}
	stuck.mu.Unlock()
}

// A process killed in the middle loses nothing: the next one delivers the rest, and what was in flight again under the same id.
func testRestart(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	w.stop(w.Hooks)
	w.Hooks = w.process()
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ep := w.endpoint(r)
	for i := range 60 {
		w.say(message(i, fmt.Sprint("u", i%3), "stock.held"))
		if i == 20 {
			w.until(soon, "some are delivered", func() bool { return w.states(ep.ID)[Delivered] > 5 })
		}
	}
	w.crash(w.Hooks)
	w.Hooks = w.process()
	w.run(w.Hooks)
	w.until(soon, "all are delivered", func() bool { return w.states(ep.ID)[Delivered] == 60 })
	ids, last := map[string]bool{}, map[string]string{}
	for _, g := range r.got() {
		if !ids[g.id] && g.event.Subject < last[g.event.PartitionKey] {
			t.Errorf("%s came first after %s", g.event.Subject, last[g.event.PartitionKey])
		}
		ids[g.id], last[g.event.PartitionKey] = true, g.event.Subject
	}
	if len(ids) != 60 {
		t.Errorf("%d events arrived", len(ids))
	}
}

// No more than the endpoint's concurrency are in flight, and no more a second begin than its rate.
func testLimits(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	two, ten := 2, 10
	if _, err := w.Change(t.Context(), "op", ep.ID, "slow down", Change{Concurrency: &two, Rate: &ten}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		w.say(message(i, fmt.Sprint("u", i), "stock.held"))
	}
	begun := w.clk.Now()
	w.until(20*time.Millisecond, "all are delivered", func() bool { return w.states(ep.ID)[Delivered] == 40 })
	if took := w.clk.Now().Sub(begun); took < 3500*time.Millisecond {
		t.Errorf("40 at 10 a second took %v", took)
	}
	if r.mu.Lock(); r.most > 2 {
		t.Errorf("%d at a time", r.most)
	}
	r.mu.Unlock()
}

// Neither the database nor the log nor the trail holds a secret or the query of a URL in clear; another key opens nothing.
func testSecrets(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusGone) })
	ep, secret, err := w.Create(t.Context(), "op", Definition{URL: r.URL + "/?token=hunter2", Events: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it is disabled", func() bool { return !w.get(ep.ID).Enabled })
	row, err := w.row(t.Context(), ep.ID)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimPrefix(secret, "whsec_")
	w.mu.Lock()
	said := w.log.String() + fmt.Sprint(w.acts)
	w.mu.Unlock()
	if strings.Contains(said, "hunter2") || strings.Contains(said, key) || !strings.Contains(said, ep.ID) {
		t.Errorf("log and trail: %s", said)
	}
	if bytes.Contains(row.sealed, []byte(key)) {
		t.Error("the secret is stored in clear")
	}
	if !e.shared {
		for _, end := range []string{"", "-wal"} {
			if raw, err := os.ReadFile(w.where + end); err == nil && bytes.Contains(raw, []byte(key)) {
				t.Errorf("the secret is in %s in clear", w.where+end)
			}
		}
	}
	other, err := NewSealer(bytes.Repeat([]byte("x"), 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.open(ep.ID, row.sealed, noon); err == nil {
		t.Error("another key opens it")
	}
	if _, err := w.seal.open("wh_other", row.sealed, noon); err == nil {
		t.Error("it opens as another endpoint's")
	}
}

// What cannot be used is refused with its place, a trail that fails refuses the act, and what is not there is not found.
func testActs(t *testing.T, e engine) {
	audit := errors.New("disk full")
	fails := false
	w := begin(t, e, func(o *Options) {
		o.Guard.AllowPrivate = false
		o.Audit = func(context.Context, Act) error {
			if fails {
				return audit
			}
			return nil
		}
	})
	for _, d := range []Definition{
		{URL: "https://10.0.0.1/x", Events: []string{"*"}}, {URL: "https://example.com", Events: []string{"Stock.*x"}}, {URL: "https://example.com"},
		{URL: "https://example.com", Events: []string{"*"}, Rate: -1}, {URL: "https://example.com", Events: []string{"*"}, Concurrency: 17},
	} {
		_, _, err := w.Create(t.Context(), "op", d)
		if x, ok := errors.AsType[*errs.Error](err); !ok || x.Code != errs.Invalid || len(x.Fields) != 1 {
			t.Errorf("%+v: %v", d, err)
		}
	}
	fails = true
	if _, _, err := w.Create(t.Context(), "op", Definition{URL: "https://example.com", Events: []string{"*"}}); !errors.Is(err, audit) {
		t.Errorf("without a trail: %v", err)
	}
	fails = false
	if all, err := w.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("there are endpoints: %v %v", all, err)
	}
	_, err := w.Enable(t.Context(), "op", "wh_none", "")
	if err2 := w.Delete(t.Context(), "op", "wh_none", ""); !errs.Is(err, errs.NotFound) || !errs.Is(err2, errs.NotFound) {
		t.Errorf("what is not there: %v, %v", err, err2)
	}
}

// A ping is signed like everything else and says what came of it; it is not queued.
func testPing(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	p, err := w.Ping(t.Context(), "op", ep.ID, "try")
	if err != nil || !p.Taken || p.Status != http.StatusOK || r.got()[0].valid != 1 || r.got()[0].event.Type != "webhook.ping" {
		t.Errorf("ping: %+v %v", p, err)
	}
	r.Close()
	if p, err = w.Ping(t.Context(), "op", ep.ID, "try"); err != nil || p.Taken || p.Error == "" {
		t.Errorf("ping of a closed door: %+v %v", p, err)
	}
	if err := w.Delete(t.Context(), "op", ep.ID, "done"); err != nil {
		t.Fatal(err)
	}
	if all, err := w.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after the end: %v %v", all, err)
	}
}

// Two processes share the endpoints and neither sends what the other sent; when one is killed the other takes over its endpoints.
func testProcesses(t *testing.T, e engine) {
	w := begin(t, e)
	second := w.process()
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const endpoints, events = 6, 30
	var all []*receiver
	var eps []Endpoint
	for range endpoints {
		r := newReceiver(t, w.clk)
		all, eps = append(all, r), append(eps, w.endpoint(r))
	}
	holds := func(h *Hooks) int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.runners) }
	w.until(soon, "all are worked", func() bool { return holds(w.Hooks)+holds(second) == endpoints })
	t.Logf("shared %d to %d", holds(w.Hooks), holds(second))
	if holds(w.Hooks) == 0 || holds(second) == 0 {
		t.Errorf("one process has all: %d and %d", holds(w.Hooks), holds(second))
	}
	delivered := func(want int) func() bool {
		return func() bool {
			for _, ep := range eps {
				if w.states(ep.ID)[Delivered] != want {
					return false
				}
			}
			return true
		}
	}
	for i := range events {
		w.say(message(i, fmt.Sprint("u", i%4), "stock.held"))
	}
	w.until(soon, "all arrived", delivered(events))
	for _, r := range all {
		if n := len(r.got()); n != events {
			t.Errorf("%d requests for %d events", n, events)
		}
	}
	w.crash(second)
	for i := range events {
		w.say(message(events+i, fmt.Sprint("u", i%4), "stock.held"))
	}
	w.until(soon, "the other took over", delivered(2*events))
}
