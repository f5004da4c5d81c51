package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"penstock/errs"
)

const streamRoutes = `
upstreams: {shop: {targets: [$SHOP]}}
routes:
  - {match: "GET /events", upstream: shop, stream: events, timeout: 500ms, idle: 2s}
  - {match: "GET /live", upstream: shop, stream: websocket, timeout: 500ms, streams: 1, origins: ["https://shop.example.com"]}
`

// 20,000 events pass to a reader who is slow at first, each at once and in order, for longer than a call may take; the stream ends
// in good order when the server stops.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	const n = 20_000
	more := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range n {
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i, strings.Repeat("x", 200))
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, "data: late\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	b := setup(t, streamRoutes, "$SHOP", s.URL)
	resp, err := http.Get(b.front.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range n {
		if i == 10 {
			<-time.After(700 * time.Millisecond) // more than the timeout of a call, while the upstream waits for us
		}
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("id: %d\n", i) {
			t.Fatalf("event %d is %q, %v", i, line, err)
		}
		for range 2 {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(more)
	if line, err := lines.ReadString('\n'); line != "data: late\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(b.drain)
	rest, err := io.ReadAll(lines)
	if err != nil || string(rest) != "\n" {
		t.Errorf("the end is %q, %v", rest, err)
	}
	until(t, "the upstream is let go", func() bool { return b.now().States()[0].InFlight == 0 })
}

// A caller who may not go on, such as an app that was disabled, is let go within seconds and not at the end of his token.
func TestStreamsEndWithTheirCaller(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: x\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	b := setup(t, streamRoutes, "$SHOP", s.URL)
	var gone atomic.Bool
	b.deps.Still = func(*http.Request) error {
		if gone.Load() {
			return errs.New(errs.Unauthenticated, "the app is disabled")
		}
		return nil
	}
	b.use(streamRoutes, "$SHOP", s.URL)
	resp, err := http.Get(b.front.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line := make([]byte, 9)
	if _, err := io.ReadFull(resp.Body, line); err != nil {
		t.Fatal(err)
	}
	waits := func() bool { return b.clock.Timers() > 0 }
	until(t, "the stream is looked after", waits)
	b.clock.Advance(recheck)
	until(t, "it goes on", waits)
	gone.Store(true)
	b.clock.Advance(recheck)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

// An event stream that says nothing for too long ends, so that a dead upstream holds nobody.
func TestSilentStreamsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	b := setup(t, strings.Replace(streamRoutes, "idle: 2s", "idle: 50ms", 1), "$SHOP", s.URL)
	if a := b.call("GET", "/events", ""); a.status != 200 || a.body != "" {
		t.Errorf("%+v", a)
	}
}

// A WebSocket passes both ways for longer than a call may take, only from our own or named sites, only so many at once, and ends
// when the server stops.
func TestWebSockets(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte(r.Header.Get("X-User")+": "), text...)) != nil {
				return
			}
		}
	})
	b := setup(t, streamRoutes, "$SHOP", s.URL)
	dial := func(headers ...string) (*websocket.Conn, *http.Response, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		h := http.Header{"Authorization": {"Bearer alice"}}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.front.URL, "http")+"/live", &websocket.DialOptions{HTTPHeader: h})
	}
	if _, r, err := dial("Origin", "https://evil.example.com"); err == nil || r.StatusCode != http.StatusForbidden {
		t.Fatalf("a page of another site: %v", err)
	}
	c, _, err := dial("Origin", "https://shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, r, err := dial(); err == nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("more than the route allows: %v", err)
	}
	for i := range 5 {
		if err := c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
		_, text, err := c.Read(t.Context())
		if err != nil || string(text) != fmt.Sprintf("alice: %d", i) {
			t.Fatalf("%q, %v", text, err)
		}
		<-time.After(150 * time.Millisecond)
	}
	close(b.drain)
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("it goes on")
	}
	until(t, "the upstream is let go", func() bool { return b.now().States()[0].InFlight == 0 })
	if a := b.call("GET", "/live", ""); a.problem() != "invalid-request" {
		t.Errorf("no upgrade: %+v", a)
	}
}
