package policy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"penstock/gateway"
	"penstock/gateway/upstream"
)

type records struct {
	mu  sync.Mutex
	all map[string]int
}

func (r *records) Observe(c *gateway.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[c.Route] = c.Status
}

// Through the real server streams outlast its time-outs, those of events end in good order and those of WebSockets at all when the
// server drains, and both are on record.
func TestStreamsThroughTheServer(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, text, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, text) != nil {
					return
				}
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}))
	defer up.Close()
	drain := gateway.NewDrain()
	r := forwarding()
	r.Routes, r.Limits, r.Forward = nil, nil, &upstream.Deps{Drain: drain.Done()}
	b, err := r.build([]byte("upstreams: {shop: {targets: [\""+up.URL+"\"]}}\nroutes: [{match: GET /events, upstream: shop, stream: events, timeout: 300ms}, {match: GET /live, upstream: shop, stream: websocket, timeout: 300ms}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := &records{all: map[string]int{}}
	g, err := gateway.New(verifier{}, nobody{}, gateway.Options{Policy: b.policy, Drain: drain, Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := gateway.Server(g, gateway.ServerOptions{ReadTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond})
	go func() { _ = srv.Serve(l) }()
	q, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/events", nil)
	q.Header.Set("Authorization", "Bearer ann")
	events, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	live, _, err := websocket.Dial(t.Context(), "ws://"+l.Addr().String()+"/live", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer ann"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer live.CloseNow()
	buf := make([]byte, 64)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if _, err := events.Body.Read(buf); err != nil {
			t.Fatalf("the events end: %v", err)
		}
		if err := live.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			t.Fatalf("the socket ends: %v", err)
		}
		if _, _, err := live.Read(t.Context()); err != nil {
			t.Fatalf("the socket ends: %v", err)
		}
	}
	drain.Begin()
	if rest, err := io.ReadAll(events.Body); err != nil || !strings.HasSuffix(string(rest), "\n\n") && len(rest) > 0 {
		t.Errorf("the events end with %q, %v", rest, err)
	}
	if _, _, err := live.Read(t.Context()); err == nil {
		t.Error("the socket goes on")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(60 * time.Second); ; {
		seen.mu.Lock()
		done := seen.all["GET /events"] == 200 && seen.all["GET /live"] == 101
		seen.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("on record: %v", seen.all)
		}
		<-time.After(5 * time.Millisecond)
	}
}
