package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"penstock/errs"
	"penstock/limit"
)

// bucket lets every call pass after a wait.
type bucket time.Duration

func (b bucket) Take(context.Context, limit.Subject) limit.Decision {
	return limit.Decision{Allowed: true, Wait: time.Duration(b)}
}
func (b bucket) Explain(limit.Subject) limit.Decision {
	return limit.Decision{Allowed: true, Wait: time.Duration(b)}
}

// held sets up a route whose calls wait, and makes one.
func held(t *testing.T, wait time.Duration) (b bundle, answer chan *httptest.ResponseRecorder, leave context.CancelFunc) {
	b = setup(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if err := b.g.Use(&Policy{Rule: func(string) Rule { return Rule{Limits: bucket(wait)} }}); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	answer = make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- b.do(httptest.NewRequest("GET", "/x", nil).WithContext(ctx)) }()
	return b, answer, leave
}

// A call whose turn in a leaky bucket comes later waits for it, and not longer.
func TestCallsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	b, answer, leave := held(t, 2*time.Second)
	defer leave()
	for b.clock.Timers() == 0 {
		time.Sleep(time.Millisecond) // until the call waits
	}
	b.clock.Advance(2*time.Second - 1)
	select {
	case w := <-answer:
		t.Fatalf("%d before its turn", w.Code)
	default:
	}
	b.clock.Advance(1)
	if w := <-answer; w.Code != http.StatusNoContent {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Whoever leaves while he waits is not served, and gives his goroutine back.
func TestWhoLeavesDoesNotWait(t *testing.T) {
	t.Parallel()
	b, answer, leave := held(t, 2*time.Second)
	for b.clock.Timers() == 0 {
		time.Sleep(time.Millisecond) // until the call waits
	}
	leave()
	problem(t, <-answer, errs.RequestTimeout)
	if n := b.clock.Timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

// Nobody waits longer than a connection may be held: he is told when his turn would be.
func TestNoCallWaitsForLong(t *testing.T) {
	t.Parallel()
	_, answer, leave := held(t, MaxHold+time.Second)
	defer leave()
	w := <-answer
	problem(t, w, errs.QuotaExceeded)
	if s, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || s < 6 {
		t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
	}
}
