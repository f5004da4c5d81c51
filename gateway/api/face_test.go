package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"penstock/errs"
	"penstock/gateway"
)

// pages is a face that has what begins with /shop, and the root.
type pages struct{}

func (pages) Has(path string) bool { return path == "/" || strings.HasPrefix(path, "/shop") }
func (pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte("page " + r.URL.Path))
}

type visitors struct{}

func (visitors) Buyer() (user, token string, err error) { return "visitor-1", "t", nil }

// withPages routes as a public listener with pages does.
func withPages(t *testing.T, d Deps) *gateway.Gateway {
	t.Helper()
	s := newSurface(d.withDefaults(), newSpec(), gateway.ByUser)
	s.handle("GET /v1/sales", gateway.ByAnyone, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("sales")) })
	s.face(pages{}, gateway.ShopRoute)
	s.demoCalls()
	g, err := gateway.New(nobody{}, s, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Pages answer whoever asks, reading only, beside the API and never in its place.
func TestPagesStandBesideTheAPI(t *testing.T) {
	t.Parallel()
	g := withPages(t, Deps{})
	for what, want := range map[string]string{
		"GET /": "200 page /", "GET /shop/sales/x": "200 page /shop/sales/x", "HEAD /shop": "200 page /shop", "GET /v1/sales": "200 sales",
		"POST /shop": "405", "DELETE /": "405", "GET /v1/nope": "401", "GET /v1/sales/": "401",
	} {
		method, path, _ := strings.Cut(what, " ")
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		status, body, _ := strings.Cut(want, " ")
		if got := http.StatusText(w.Code); !strings.HasPrefix(want, strings.TrimSpace(status)) || w.Code/100 != int(status[0]-'0') || body != "" && w.Body.String() != body {
			t.Errorf("%s: %d %s %s", what, w.Code, got, w.Body)
		}
	}
}

// The demonstration's login answers a page of this machine and nobody else, and where it is not switched on it does not exist.
func TestDemoLogin(t *testing.T) {
	t.Parallel()
	g, off := withPages(t, Deps{DemoLogin: visitors{}}), withPages(t, Deps{})
	ask := func(g http.Handler, remote, host string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/demo/buyer", nil)
		r.RemoteAddr, r.Host = remote, host
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	w := ask(g, "127.0.0.1:5", "127.0.0.1:8080", "Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8080")
	var got struct{ User, Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || got.User != "visitor-1" || got.Token != "t" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(g, "[::1]:5", "localhost:8080"); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"from elsewhere":      ask(g, "203.0.113.7:5", "127.0.0.1:8080"),
		"through a proxy":     ask(g, "127.0.0.1:5", "127.0.0.1:8080", "X-Forwarded-For", "203.0.113.7"),
		"by a name elsewhere": ask(g, "127.0.0.1:5", "evil.example:8080"),
		"for another site":    ask(g, "127.0.0.1:5", "127.0.0.1:8080", "Sec-Fetch-Site", "cross-site"),
		"from another origin": ask(g, "127.0.0.1:5", "127.0.0.1:8080", "Origin", "http://evil.example"),
	} {
		if w.Code != errs.Forbidden.Status() {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := ask(off, "127.0.0.1:5", "127.0.0.1:8080"); w.Code == http.StatusOK {
		t.Errorf("it answers though it is off: %s", w.Body)
	}
}
