package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/gateway"
)

// FuzzEveryRoute sends any method, path, header and body to all three listeners: no 5xx, and every refusal is a problem of a
// listed type with its own status.
func FuzzEveryRoute(f *testing.F) {
	h := setup(f)
	calls := append(append([]call{}, publicCallsByAccess...), adminCallsByAccess...)
	for _, c := range calls {
		method, rest, _ := strings.Cut(c.what, " ")
		path, body, _ := strings.Cut(rest, " ")
		for _, b := range []string{body, "", "null", `{"a":1,"a":2}`, "\xff" + strings.Repeat("[", 5000)} {
			f.Add(method, path, "Content-Type", "application/json", b)
		}
		f.Add(method, path+"/", "If-Match", `"9999999999999999999999"`, body)
		f.Add(method, path+"?limit=x&cursor=%00&limit=2", "Content-Type", "a;b+json", body)
		f.Add("OPTIONS", path+"%2f..%2f", "Accept", "application/cbor, */*;q=x", body)
	}
	f.Add("POST", "/v1/sales/flash/attempts", "Authorization", "Bearer p1.AAAA.AAAA", "{}")
	f.Add("GET", "*", "Traceparent", "00-", "")
	f.Fuzz(func(t *testing.T, method, path, name, value, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" || strings.ContainsAny(method, " \r\n") || strings.HasPrefix(path, "/debug") {
			t.Skip()
		}
		for _, g := range []http.Handler{h.public, h.admin, h.probe} {
			for _, caller := range []string{"", "user", "operator"} {
				r := httptest.NewRequest("GET", "/", strings.NewReader(body))
				r.Method, r.URL, r.RequestURI = method, u, path
				r.Header.Set("Idempotency-Key", "k")
				if h.tokens[caller] != "" {
					r.Header.Set("Authorization", "Bearer "+h.tokens[caller])
				}
				if name != "" && !strings.EqualFold(u.Path, "/v1/events") {
					r.Header[http.CanonicalHeaderKey(name)] = []string{value}
				}
				if u.Path == "/v1/events" {
					continue
				}
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				check(t, method+" "+path, w)
			}
		}
	})
}

func check(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code < 400 {
		return
	}
	var p struct {
		Type   string
		Status int
	}
	err := json.Unmarshal(w.Body.Bytes(), &p)
	code := errs.Code(strings.TrimPrefix(p.Type, "/problems/"))
	if w.Code >= 500 || err != nil || gateway.Title(code) == "" || code.Status() != w.Code || p.Status != w.Code {
		t.Fatalf("%s: %d %.300s", what, w.Code, w.Body)
	}
}

// Requests whose end is in doubt are refused and their connection is closed, so that nothing can hide behind them.
func TestDoubtfulFramingIsRefused(t *testing.T) {
	t.Parallel()
	h := setup(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := gateway.Server(h.public, gateway.ServerOptions{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() { srv.Close(); <-served }()
	const hidden = "GET /v1/sales/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"two lengths":       "Content-Length: 0\r\nContent-Length: 5\r\n",
		"length and chunks": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"odd encoding":      "Transfer-Encoding: xchunked\r\n",
		"space in name":     "Content-Length : 0\r\n",
		"negative length":   "Content-Length: -1\r\n",
		"folded header":     "X-A: b\r\n Content-Length: 5\r\n",
		"line break":        "X-A: b\rContent-Length: 5\r\n",
		"huge header":       "X-A: " + strings.Repeat("a", 64<<10) + "\r\n",
	} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// The server may close while this is still being written.
		_, _ = io.WriteString(c, "POST /v1/sales/flash/pass HTTP/1.1\r\nHost: x\r\n"+head+"\r\n0\r\n\r\n"+hidden)
		in, answers := bufio.NewReader(c), 0
		for {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				break
			}
			answers++
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode < 400 {
				t.Errorf("%s: answer %d is %d, %v", name, answers, res.StatusCode, err)
			}
			if res.StatusCode == 404 {
				t.Errorf("%s: the hidden request was answered", name)
			}
		}
		c.Close()
	}
}
