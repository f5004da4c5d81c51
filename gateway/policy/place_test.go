package policy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/gateway/upstream"
)

// A stream that is open holds neither the one place that there is nor the one trial of its breaker, whatever class its route has;
// a stream that was refused leaves nothing behind either.
func TestStreamsHoldNoPlace(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case broken.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/live":
			if c, err := websocket.Accept(w, r, nil); err == nil {
				defer c.CloseNow()
				_, _, _ = c.Read(r.Context())
			}
		case r.URL.Path == "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(up.Close)
	drain := gateway.NewDrain()
	t.Cleanup(drain.Begin)
	r := forwarding()
	r.Routes, r.Limits, r.Forward = nil, nil, &upstream.Deps{Drain: drain.Done()}
	b, err := r.build([]byte("upstreams: {shop: {targets: [\""+up.URL+"\"]}}\nshedding: {inFlight: 1}\nbreakers: {all: {failures: 1, open: 1ms, successes: 2}}\n"+
		"rules: [{match: [GET /events, GET /live, GET /page], breaker: all}]\nroutes:\n  - {match: GET /events, upstream: shop, stream: events}\n  - {match: GET /live, upstream: shop, stream: websocket}\n  - {match: GET /page, upstream: shop}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(verifier{}, nobody{}, gateway.Options{Policy: b.policy, Drain: drain})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	get := func(path string) *http.Response {
		t.Helper()
		q, _ := http.NewRequestWithContext(t.Context(), "GET", front.URL+path, nil)
		q.Header.Set("Authorization", "Bearer ann")
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Body.Close() })
		return a
	}
	broken.Store(true) // opens the breaker, so that the streams are its trials
	if a := get("/events"); a.StatusCode != http.StatusBadGateway {
		t.Fatalf("the broken upstream: %s", a.Status)
	}
	broken.Store(false)
	fuse := b.breakers["all"]
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); !is(); { // the breaker lets a trial through after a while
			if time.Now().After(end) {
				t.Fatalf("in a minute not: %s; the breaker is %s, %d calls run", what, fuse.State(), b.shedder.State().Running)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	until("events are streamed", func() bool { return get("/events").StatusCode == http.StatusOK })
	until("a socket opens", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, "ws"+front.URL[len("http"):]+"/live", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer ann"}}})
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		return err == nil
	})
	until("the breaker is closed by two good trials", func() bool { return fuse.State() == breaker.Closed })
	if a := get("/page"); a.StatusCode != http.StatusOK {
		t.Errorf("beside two open streams a call gets %s", a.Status)
	}
	until("no call holds a place", func() bool { return b.shedder.State().Running == 0 })
}
