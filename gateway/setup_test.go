package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// room is an Attempter that answers as it is told and remembers what it was asked.
type room struct {
	mu     sync.Mutex
	answer func(stock.Request) stock.Answer
	asked  []stock.Request
}

func (r *room) Attempt(_ context.Context, q stock.Request) stock.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.Items = append([]stock.Item(nil), q.Items...)
	r.asked = append(r.asked, q)
	return r.answer(q)
}

func won(q stock.Request) stock.Answer {
	return stock.Answer{State: stock.Won, Attempt: &driver.Attempt{
		ID: ident.ID(123456789012345678), Key: driver.Key{Sale: q.Sale, User: q.User, Key: q.Key}, At: start,
		Lines: []driver.Line{{SKU: "sku-1", Quantity: 1, Price: 9900}}, Amount: 9900, Currency: "CNY", PayBefore: start.Add(15 * time.Minute),
	}}
}

// router answers every other path with the handler it was given.
type router struct{ route Route }

func (r router) Route(*http.Request) Route { return r.route }

type watcher struct {
	mu      sync.Mutex
	records []Record
}

func (w *watcher) Observe(r *Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, *r)
}

func (w *watcher) last() Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[len(w.records)-1]
}

type bundle struct {
	g     *Gateway
	ring  *auth.Ring
	clock *clock.Fake
	room  *room
	seen  *watcher
	token string
	pass  string
}

func setup(t testing.TB, o Options, h http.HandlerFunc) bundle {
	t.Helper()
	b := bundle{clock: clock.NewFake(start), room: &room{answer: won}, seen: &watcher{}}
	var err error
	if b.ring, err = auth.Open(filepath.Join(t.TempDir(), "keys.json"), auth.Options{Clock: b.clock}); err != nil {
		t.Fatal(err)
	}
	if b.token, err = b.ring.Sign(auth.Claims{User: "ann", Expires: start.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if b.pass, err = b.ring.MintPass("ann", "flash", start, time.Hour); err != nil {
		t.Fatal(err)
	}
	o.Clock, o.Observer = b.clock, b.seen
	if o.Attempts == nil {
		o.Attempts = b.room
	}
	if h == nil {
		h = func(w http.ResponseWriter, r *http.Request) {
			FromContext(r.Context()).Fail(errs.New(errs.NotFound, "no such path"))
		}
	}
	if b.g, err = New(b.ring, router{Route{Name: "other", Access: ByAnyone, Handler: h}}, o); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bundle) attempt(body string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v1/sales/flash/attempts", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+b.pass)
	r.Header.Set("Idempotency-Key", `"k1"`)
	for _, e := range edit {
		e(r)
	}
	return b.do(r)
}

func (b bundle) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.g.ServeHTTP(w, r)
	return w
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

const oneItem = `{"sku":"sku-1","quantity":1}`

// problem checks that an answer is the problem of a code, complete, and returns its members.
func problem(t testing.TB, w *httptest.ResponseRecorder, code errs.Code) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%d is not JSON: %v: %s", w.Code, err, w.Body)
	}
	if w.Code != code.Status() || p["type"] != "/problems/"+string(code) || p["status"] != float64(code.Status()) || p["title"] != Title(code) ||
		p["detail"] == "" || p["instance"] == "" || w.Header().Get("Content-Type") != ProblemType {
		t.Fatalf("want the problem %s, got %d %s: %s", code, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if s := w.Code; (s == 429 || s == 503) && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"executed":`)) {
		t.Fatalf("%d does not say when to come back and whether it was executed: %v %s", s, w.Header(), w.Body)
	}
	return p
}
