package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func dial(t *testing.T, base string, o Options) *Client {
	t.Helper()
	c, err := New(base, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Whatever is sent arrives, and whatever a net/http server answers is read, over few connections used again and again.
func TestSpeaksWithNetHTTP(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Retry-After", "3")
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(202)
		fmt.Fprintf(w, "%s %s %s %s %s|", r.Method, r.URL, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), r.Header.Get("X-Forwarded-For"))
		if strings.Contains(r.URL.Path, "chunked") {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Write(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	c := dial(t, srv.URL+"/base/", Options{Conns: 4})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var resp Response
			for i := range 50 {
				path := []string{"/a", "/chunked?x=1"}[i%2]
				body := strings.Repeat("x", i*g*7)
				req := Request{Method: "POST", Path: path, Token: "t", Key: "k", From: "198.18.0.1", Body: []byte(body)}
				if err := c.Do(t.Context(), &req, &resp); err != nil {
					t.Error(err)
					return
				}
				want := "POST /base" + path + ` Bearer t "k" 198.18.0.1|` + body
				if resp.Status != 202 || resp.RetryAfter != 3*time.Second || !resp.Replayed || string(resp.Body) != want {
					t.Errorf("%+v, want body %s", resp, want)
				}
			}
		})
	}
	wg.Wait()
	if n := c.Dialed(); n > 4 {
		t.Errorf("%d connections were opened, 4 are allowed", n)
	}
}

// answer serves one connection a fixed text per request.
func answer(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			k, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = k.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(k)); err == nil {
					_, _ = io.WriteString(k, text)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// An answer that is cut short, or is none, is an error and never a result.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "HTTP/1.1 201", "SSH-2.0-x\r\n", "HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{\"a\"", "HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	} {
		c := dial(t, answer(t, text), Options{Timeout: 5 * time.Second})
		var resp Response
		if err := c.Do(t.Context(), &Request{Method: "GET", Path: "/"}, &resp); err == nil {
			t.Errorf("%q was taken for %+v", text, resp)
		}
	}
}

// Interim answers are passed over, a body that ends with the connection is whole.
func TestInterimAndUnframed(t *testing.T) {
	t.Parallel()
	c := dial(t, answer(t, "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest"), Options{})
	var resp Response
	if err := c.Do(t.Context(), &Request{Method: "GET", Path: "/"}, &resp); err != nil || string(resp.Body) != "rest" || resp.RetryAfter != 0 {
		t.Errorf("%+v %v", resp, err)
	}
}

// With Bind each connection comes from an address of its own.
func TestBindsSources(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		seen[host] = true
		mu.Unlock()
	}))
	t.Cleanup(srv.Close)
	if !strings.HasPrefix(srv.URL, "http://127.") {
		t.Skip("the test server is not on 127.0.0.1")
	}
	for range 3 {
		c := dial(t, srv.URL, Options{Bind: true})
		c.dialed.Store(int64(len(seen)) * 300)
		var resp Response
		if err := c.Do(t.Context(), &Request{Method: "GET", Path: "/"}, &resp); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 3 || seen["127.0.0.1"] {
		t.Errorf("sources: %v", seen)
	}
	if _, err := New("http://10.0.0.1", Options{Bind: true}); err == nil {
		t.Error("binding towards 10.0.0.1 was accepted")
	}
}

// Source addresses do not repeat within a network's worth of connections.
func TestSourcesDiffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64Range(0, 1<<23).Draw(t, "a"), rapid.Int64Range(0, 1<<23).Draw(t, "b")
		if same := Source(a).Equal(Source(b)); same != (a == b) {
			t.Fatalf("%d: %v, %d: %v", a, Source(a), b, Source(b))
		}
	})
}

// Bad settings are refused with the name of what is wrong; a closed client refuses calls; a refused connection is an error.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "127.0.0.1:80", "ftp://x", "http://"} {
		if _, err := New(base, Options{}); err == nil {
			t.Errorf("%q was accepted", base)
		}
	}
	if _, err := New("http://x", Options{Conns: -1}); err == nil || !strings.Contains(err.Error(), "conns") {
		t.Errorf("conns: %v", err)
	}
	c := dial(t, "http://127.0.0.1:1", Options{})
	var resp Response
	if err := c.Do(t.Context(), &Request{Method: "GET", Path: "/"}, &resp); err == nil {
		t.Error("a refused connection is no error")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Do(context.Background(), &Request{Method: "GET", Path: "/"}, &resp); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if d := cmp.Diff(Source(0).String(), "127.1.0.1"); d != "" {
		t.Error(d)
	}
}
