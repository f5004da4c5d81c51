package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/webhook/standard"
)

// shop receives callbacks, verifies them and keeps what it took.
type shop struct {
	t        *testing.T
	verifier *standard.Verifier

	mu     sync.Mutex
	status int
	ids    []string
	events []Event
	tries  int
	now    int
	most   int
	gate   chan struct{}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, err := s.verifier.Verify(r.Header, body)
	if err != nil {
		s.t.Errorf("a callback of the sandbox is not genuine: %v", err)
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		s.t.Errorf("callback body %q: %v", body, err)
	}
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	s.tries++
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	s.ids, s.events = append(s.ids, id), append(s.events, e)
}

func (s *shop) set(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *shop) read(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

type bench struct {
	t    *testing.T
	clk  *clock.Fake
	dir  string
	sec  standard.Secret
	sb   *Service
	url  string
	shop *shop
	hook string
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clk: clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)), dir: t.TempDir()}
	var err error
	if b.sec, err = standard.NewSecret(rand.Reader); err != nil {
		t.Fatal(err)
	}
	v, err := standard.NewVerifier([]standard.Secret{b.sec}, standard.Options{Clock: b.clk})
	if err != nil {
		t.Fatal(err)
	}
	b.shop = &shop{t: t, verifier: v}
	hook := httptest.NewServer(b.shop)
	b.hook = hook.URL
	b.open()
	t.Cleanup(func() {
		if err := b.sb.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		hook.Close()
	})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	sb, err := New(b.t.Context(), filepath.Join(b.dir, "sandbox.db"), b.sec, Options{Clock: b.clk, Senders: 4})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := sb.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	srv := httptest.NewServer(sb.Handler())
	b.t.Cleanup(srv.Close)
	b.sb, b.url = sb, srv.URL
}

func (b *bench) until(what string, cond func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s", what)
		}
		b.clk.Advance(50 * time.Millisecond)
		<-tick.C
	}
}

func (b *bench) delivered() {
	b.t.Helper()
	b.until("everything is delivered", func() bool {
		n, err := b.sb.Pending(context.Background())
		if err != nil {
			b.t.Fatal(err)
		}
		return n == 0
	})
}

func (b *bench) call(method, path, body string) (int, map[string]any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewBufferString(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, m
}

func (b *bench) charge(id int, outcome string, after time.Duration) {
	b.t.Helper()
	body := fmt.Sprintf(`{"paymentId":"%d","amount":500,"currency":"EUR","outcome":"%s","afterMs":%d,"callbackUrl":"%s"}`, id, outcome, after.Milliseconds(), b.hook)
	if status, m := b.call("POST", "/charges", body); status != http.StatusCreated || m["state"] != "pending" {
		b.t.Fatalf("charge: %d %v", status, m)
	}
}

// Each outcome sends exactly the callbacks it is named for, in order, and not before the delay is over.
func TestCallbacksOfEachOutcome(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]string{
		Capture:     "0:captured:500",
		Fail:        "0:failed:500",
		Lose:        "",
		Duplicate:   "0:captured:500 0:captured:500 1:captured:500",
		Reorder:     "0:captured:500 1:pending:500 2:failed:500",
		WrongAmount: "0:captured:501",
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.charge(7, outcome, 300*time.Millisecond)
			due := b.clk.Now().Add(300 * time.Millisecond)
			if _, m := b.call("GET", "/charges/7", ""); m["state"] != "pending" {
				t.Errorf("before the delay the charge is %v", m)
			}
			b.clk.Advance(299 * time.Millisecond)
			b.shop.read(func() {
				if b.shop.tries != 0 {
					t.Errorf("%d callbacks came before the delay", b.shop.tries)
				}
			})
			b.delivered()
			var got []string
			b.shop.read(func() {
				for i, e := range b.shop.events {
					id, n, _ := strings.Cut(strings.TrimPrefix(b.shop.ids[i], "msg_"), "_")
					if id != "7" || e.Data.PaymentID != "7" || e.Data.ProviderRef == "" || e.Data.Currency != "EUR" {
						t.Errorf("callback %s %+v", b.shop.ids[i], e)
					}
					if stale := e.Timestamp.Before(due); stale != (e.Type != EventCaptured && outcome == Reorder) {
						t.Errorf("%s claims to be of %v, the charge was due at %v", e.Type, e.Timestamp, due)
					}
					got = append(got, fmt.Sprintf("%s:%s:%d", n, strings.TrimPrefix(e.Type, "payment."), e.Data.Amount))
				}
			})
			if strings.Join(got, " ") != want {
				t.Errorf("callbacks %v, want %q", got, want)
			}
			b.until("the charge is decided", func() bool {
				_, m := b.call("GET", "/charges/7", "")
				return (m["state"] == "failed") == (outcome == Fail) && m["state"] != "pending"
			})
		})
	}
}

// A callback that is not taken is sent again, after a restart too, until it is taken.
func TestCallbacksSurviveRefusalAndRestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shop.set(http.StatusServiceUnavailable)
	b.charge(1, Capture, 0)
	b.charge(2, Duplicate, 0)
	b.charge(3, Capture, 5*time.Second)
	b.until("callbacks were refused several times", func() bool {
		n := 0
		b.shop.read(func() { n = b.shop.tries })
		return n >= 6
	})
	if err := b.sb.Stop(); err != nil {
		t.Fatal(err)
	}
	b.shop.set(0)
	b.open()
	b.delivered()
	b.shop.read(func() {
		if len(b.shop.events) != 5 {
			t.Errorf("%d callbacks were taken, want 5: %v", len(b.shop.events), b.shop.ids)
		}
	})
	for _, id := range []string{"1", "2", "3"} {
		if status, m := b.call("GET", "/charges/"+id, ""); status != 200 || m["state"] != "captured" {
			t.Errorf("charge %s after the restart: %d %v", id, status, m)
		}
	}
}

// However many callbacks are due, at most Senders are under way, and all of them arrive: also those that found no room in
// memory.
func TestSendersAreBounded(t *testing.T) {
	t.Parallel()
	const charges = queued + 300
	b := setup(t)
	gate := make(chan struct{})
	b.shop.read(func() { b.shop.gate = gate })
	var wg sync.WaitGroup
	for k := range 20 {
		wg.Go(func() {
			for i := k; i < charges; i += 20 {
				b.charge(i+1, Capture, 0)
			}
		})
	}
	wg.Wait()
	if n := b.sb.queue.size(); n > queued+4 {
		t.Errorf("%d charges are held in memory, want at most %d", n, queued+4)
	}
	b.until("all senders are busy", func() bool {
		n := 0
		b.shop.read(func() { n = b.shop.now })
		return n == 4
	})
	close(gate)
	b.delivered()
	b.shop.read(func() {
		seen := map[string]bool{}
		for _, id := range b.shop.ids {
			seen[id] = true
		}
		if len(seen) != charges || b.shop.tries != charges || b.shop.most > 4 {
			t.Errorf("%d messages in %d callbacks, %d at a time; want %d, once each, 4 at a time", len(seen), b.shop.tries, b.shop.most, charges)
		}
	})
}

// A charge and a refund happen once per id; other values under a known id and more than was captured are refused.
func TestMoneyMovesOncePerId(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const same = `{"paymentId":"1","amount":500,"currency":"EUR"}`
	for i, c := range []struct {
		path, body string
		status     int
	}{
		{"/charges", same, 201}, {"/charges", same, 200},
		{"/charges", `{"paymentId":"1","amount":501,"currency":"EUR"}`, 422},
		{"/charges", `{"paymentId":"2","amount":500,"currency":"EUR","afterMs":1000}`, 201},
		{"/charges", `{"paymentId":"3","amount":500,"currency":"EUR","outcome":"fail"}`, 201},
		{"/refunds", `{"refundId":"10","paymentId":"1","amount":300}`, 200},
		{"/refunds", `{"refundId":"10","paymentId":"1","amount":300}`, 200},
		{"/refunds", `{"refundId":"10","paymentId":"1","amount":200}`, 422},
		{"/refunds", `{"refundId":"11","paymentId":"1","amount":201}`, 409},
		{"/refunds", `{"refundId":"12","paymentId":"2","amount":1}`, 409},
		{"/refunds", `{"refundId":"13","paymentId":"3","amount":1}`, 409},
		{"/refunds", `{"refundId":"14","paymentId":"4","amount":1}`, 404},
	} {
		if status, m := b.call("POST", c.path, c.body); status != c.status {
			t.Errorf("call %d: %d %v, want %d", i, status, m, c.status)
		}
	}
	if status, m := b.call("GET", "/refunds/10", ""); status != 200 || m["amount"] != 300.0 {
		t.Errorf("the refund: %d %v", status, m)
	}
	if status, _ := b.call("GET", "/refunds/11", ""); status != 404 {
		t.Errorf("a refused refund is known: %d", status)
	}
	got, err := b.sb.Totals(t.Context())
	if want := map[string]Totals{"EUR": {Captured: 500, Refunded: 300}}; err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("totals %v (%v)", got, err)
	}
}

// Wrong input is answered with a problem that names the place, never with a 5xx, and leaves nothing behind.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok := map[string]any{"paymentId": "1", "amount": 500, "currency": "EUR", "outcome": "capture", "afterMs": 0, "callbackUrl": "http://127.0.0.1:1/"}
	for _, c := range []struct {
		field string
		value any
	}{
		{"paymentId", ""}, {"paymentId", "-1"}, {"paymentId", "x"}, {"amount", 0}, {"amount", -1}, {"amount", maxAmount + 1},
		{"currency", "eur"}, {"currency", "EURO"}, {"outcome", "magic"}, {"afterMs", -1}, {"afterMs", int64(1) << 62},
		{"callbackUrl", "ftp://x/"}, {"callbackUrl", "/x"}, {"callbackUrl", "http://u@h/"}, {"callbackUrl", "http://h/" + strings.Repeat("x", maxURL)},
	} {
		m := map[string]any{}
		for k, v := range ok {
			m[k] = v
		}
		m[c.field] = c.value
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		status, p := b.call("POST", "/charges", string(body))
		if got := fmt.Sprint(p["errors"]); status != 400 || !strings.Contains(got, "/"+c.field) {
			t.Errorf("%s=%v: %d %v", c.field, c.value, status, p)
		}
	}
	for _, c := range []struct {
		method, path, body string
		want               errs.Code
	}{
		{"POST", "/charges", `{`, errs.Invalid}, {"POST", "/charges", `[]`, errs.Invalid}, {"POST", "/charges", `{} {}`, errs.Invalid},
		{"POST", "/charges", `{"x":1}`, errs.Invalid}, {"POST", "/charges", strings.Repeat(" ", maxBody+1), errs.TooLarge},
		{"POST", "/refunds", `{"refundId":"1","paymentId":"1","amount":0}`, errs.Invalid},
		{"DELETE", "/charges", ``, errs.MethodNotAllowed}, {"GET", "/charges/x", ``, errs.NotFound}, {"GET", "/charges/1", ``, errs.NotFound},
		{"GET", "/nowhere", ``, errs.NotFound},
	} {
		if status, p := b.call(c.method, c.path, c.body); p["type"] != "/problems/"+string(c.want) || status != c.want.Status() {
			t.Errorf("%s %s %.20q: %d %v, want %s", c.method, c.path, c.body, status, p, c.want)
		}
	}
	if n, err := b.sb.Totals(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("wrong input charged %v (%v)", n, err)
	}
}
