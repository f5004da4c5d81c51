package consoles

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
)

// house is one Penstock with everything in it, and its operator.
type house struct {
	*app.App
	t        *testing.T
	operator string
	client   *http.Client
}

func open(t *testing.T) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.Limits.IP = config.Rate{} // all come from one address
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err = a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &house{App: a, t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	h.operator = h.token("op", "operator")
	return h
}

func (h *house) token(user, role string) string {
	h.t.Helper()
	token, err := h.Token(user, role, time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// post makes a call that must be answered with 201.
func (h *house) post(listener, token, path string, body any) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.Addrs()[listener]+path, bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Idempotency-Key": `"k"`} {
		req.Header.Set(name, value)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		h.t.Fatalf("POST %s: %d %s", path, resp.StatusCode, answer)
	}
}

func (h *house) offer(stock int) {
	h.post("admin", h.operator, "/admin/v1/sales", map[string]any{
		"id": "night", "title": "Night", "startsAt": time.Now().Add(-time.Minute).UTC(), "endsAt": time.Now().Add(time.Hour).UTC(),
		"items": []map[string]any{{"sku": "tea", "title": "Tea", "price": 990, "currency": "CNY", "stock": stock, "limitPerUser": 1}},
	})
}

func (h *house) buy(user string) {
	h.post("public", h.token(user, ""), "/v1/sales/night/attempts", map[string]any{"sku": "tea", "quantity": 1})
}

// page is an open page of the console. held is how many units it shows as held, told how many updates it got.
type page struct {
	conn       net.Conn
	held, told atomic.Int64
	done       chan struct{}
}

// see opens a stream of the sale. It is read by a call of read only.
func (h *house) see() *page {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.Addrs()["admin"])
	if err != nil {
		h.t.Fatal(err)
	}
	p := &page{conn: conn, done: make(chan struct{})}
	p.held.Store(-1)
	if _, err = fmt.Fprintf(conn, "GET /admin/v1/live?topic=sale:night HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", h.operator); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// read takes what the page is told until it is closed.
func (p *page) read() {
	defer close(p.done)
	for lines := bufio.NewReader(p.conn); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e struct {
			Now struct{ Stock []struct{ Held int64 } }
		}
		if json.Unmarshal([]byte(data), &e) == nil && len(e.Now.Stock) == 1 {
			p.held.Store(e.Now.Stock[0].Held)
			p.told.Add(1)
		}
	}
}

// holdings is what the process has: goroutines, descriptors of connections (databases open and close files as they like), bytes of
// live heap.
type holdings struct {
	goroutines, sockets int
	heap                int64
}

func held(t *testing.T) holdings {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("not run: descriptors are counted in /proc")
	}
	sockets := 0
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	runtime.GC()
	runtime.GC() // the second takes what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{runtime.NumGoroutine(), sockets, int64(m.HeapAlloc)}
}

// until polls a condition for at most half a minute, because the machine may be busy.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond) // polling a condition that other goroutines bring about
	}
	t.Fatalf("%s: not within half a minute", what)
}
