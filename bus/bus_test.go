package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
	"penstock/bus/outboxbus"
	"penstock/internal/clock"
)

// A user's failure holds back that user only, and what was held back follows in order once it succeeds.
func TestFailureHoldsBackItsUserOnly(t *testing.T) {
	t.Parallel()
	failures := 1
	h := &recorder{verdict: func(m driver.Message) error {
		if m.ID == "ann-0" && failures > 0 {
			failures--
			return errors.New("not now")
		}
		return nil
	}}
	r := setup(t, Options{}, h.handle)
	r.log.Append(message("ann", 0), message("bob", 0), message("ann", 1), message("bob", 1), message("ann", 2))
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"ann-0", "bob-0", "bob-1"}, h.seen()); d != "" {
		t.Fatalf("handled in the first turn (-want +got):\n%s", d)
	}
	r.log.Append(message("ann", 3), message("bob", 2))
	r.drain()
	got := h.seen()[3:]
	var ann []string
	for _, id := range got {
		if strings.HasPrefix(id, "ann") {
			ann = append(ann, id)
		}
	}
	if d := cmp.Diff([]string{"ann-0", "ann-1", "ann-2", "ann-3"}, ann); d != "" {
		t.Fatalf("ann's messages afterwards (-want +got):\n%s", d)
	}
	all, err := r.bus.Numbers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Numbers{{Group: testGroup, Topic: testTopic, Since: Counts{Processed: 7, Parked: 4, Retried: 1}}}
	if d := cmp.Diff(want, all); d != "" {
		t.Fatalf("numbers (-want +got):\n%s", d)
	}
}

// A message that never succeeds is tried once and then three times more, further and further apart, and dies with its origin.
func TestThirdRetryIsTheLast(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	h := &recorder{verdict: func(driver.Message) error { return errors.New("column too narrow") }}
	r := setup(t, Options{Clock: c}, h.handle)
	forged := message("ann", 0)
	forged.Headers = map[string]string{HeaderRetries: "99", "traceparent": "00-1"}
	r.log.Append(forged)
	var at []time.Duration
	for tries := 1; len(r.letters()) == 0; tries++ {
		if tries == 1 {
			if err := r.turn(); err != nil {
				t.Fatal(err)
			}
		}
		for len(h.calls) < tries || (tries == 4 && len(r.letters()) == 0) {
			c.Advance(time.Millisecond)
			if err := r.sub.retryDue(t.Context(), t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		at = append(at, c.Now().Sub(start))
	}
	if len(at) != 4 {
		t.Fatalf("tried at %v, wanted 4 tries", at)
	}
	for i, base := range []time.Duration{250, 500, 1000} {
		base *= time.Millisecond
		if wait := at[i+1] - at[i]; wait < base/2 || wait > base+time.Millisecond {
			t.Errorf("waited %v before retry %d, wanted %v to %v", wait, i+1, base/2, base)
		}
	}
	l := r.letters()[0]
	if l.Attempts != 4 || l.Reason != "retries-exhausted: column too narrow" || l.Group != testGroup || !l.FailedAt.Equal(c.Now()) {
		t.Errorf("letter %+v", l)
	}
	want := map[string]string{
		HeaderReason: ReasonExhausted, HeaderTopic: testTopic, HeaderPartition: fmt.Sprint(r.drv.Partition(testTopic, "ann")),
		HeaderOffset: "1", HeaderFailedAt: c.Now().Format(time.RFC3339Nano), HeaderRetries: "3",
		HeaderError: "column too narrow", "traceparent": "00-1", outboxbus.HeaderOutbox: "outbox",
	}
	if d := cmp.Diff(want, l.Message.Headers); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
}

// A poison message dies at its first try, and its user's next message flows in the same turn.
func TestPoisonDiesAtOnce(t *testing.T) {
	t.Parallel()
	h := &recorder{verdict: func(m driver.Message) error {
		if m.ID == "ann-0" {
			return fmt.Errorf("no such version: %w", ErrPoison)
		}
		return nil
	}}
	r := setup(t, Options{}, h.handle)
	r.log.Append(message("ann", 0), message("ann", 1))
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"ann-0", "ann-1"}, h.seen()); d != "" {
		t.Fatalf("handled (-want +got):\n%s", d)
	}
	if l := r.letters(); len(l) != 1 || l[0].Attempts != 1 || l[0].Reason != "poison: no such version: poison message" {
		t.Fatalf("letters %+v", l)
	}
}

// An outage of what the handler writes to makes no dead letter, however long it lasts.
func TestOutageIsNotATry(t *testing.T) {
	t.Parallel()
	away := true
	h := &recorder{verdict: func(driver.Message) error {
		if away {
			return fmt.Errorf("connect: %w", ErrUnavailable)
		}
		return nil
	}}
	r := setup(t, Options{}, h.handle)
	r.log.Append(message("ann", 0), message("ann", 1))
	for range 50 {
		if err := r.turn(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.seen()); n < 10 || len(r.letters()) != 0 {
		t.Fatalf("%d tries, letters %v", n, r.letters())
	}
	away = false
	r.drain()
	if got := h.seen(); !slices.Equal(got[len(got)-2:], []string{"ann-0", "ann-1"}) {
		t.Fatalf("handled at the end: %v", got[len(got)-2:])
	}
}

// A panic costs only the message that causes it: the others of its wave are handled in the same turn.
func TestPanicCostsOneMessage(t *testing.T) {
	t.Parallel()
	handled := map[string]bool{}
	r := setup(t, Options{}, func(_ context.Context, batch []driver.Message) []error {
		for _, m := range batch {
			if m.User == "user-7" {
				panic("boom")
			}
			handled[m.User] = true
		}
		return nil
	})
	for i := range 20 {
		r.log.Append(message(fmt.Sprint("user-", i), 0))
	}
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	if len(handled) != 19 {
		t.Fatalf("%d users handled beside a panic, wanted 19", len(handled))
	}
	r.drain()
	if l := r.letters(); len(l) != 1 || l[0].Message.User != "user-7" || l[0].Reason != "retries-exhausted: handler panicked: boom" {
		t.Fatalf("letters %+v", l)
	}
}

// A handler that answers for another number of messages has answered for none.
func TestWrongNumberOfAnswers(t *testing.T) {
	t.Parallel()
	r := setup(t, Options{MaxRetries: -1}, func(context.Context, []driver.Message) []error { return make([]error, 1) })
	r.log.Append(message("ann", 0), message("bob", 0))
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	all, err := r.bus.Numbers(t.Context())
	if err != nil || all[0].Since.Parked != 2 || all[0].Since.Processed != 0 {
		t.Fatalf("numbers %+v, %v", all, err)
	}
}

// A long parked queue does not keep new messages of others waiting: one pass of retries is bounded.
func TestRetriesDoNotStarveTheTopic(t *testing.T) {
	t.Parallel()
	failing := true
	h := &recorder{verdict: func(driver.Message) error {
		if failing {
			return fmt.Errorf("away: %w", ErrUnavailable)
		}
		return nil
	}}
	r := setup(t, Options{}, h.handle)
	for i := range 200 {
		r.log.Append(message("ann", i))
	}
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	failing = false
	r.log.Append(message("bob", 0))
	for range 4 {
		if err := r.turn(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.parked()); !slices.Contains(h.seen(), "bob-0") || n == 0 {
		t.Fatalf("after 4 turns bob was handled: %v, %d of ann's messages wait", slices.Contains(h.seen(), "bob-0"), n)
	}
}

// An outage does not turn the loop into retries only: a turn ends its retries after a while though more users are due.
func TestRetriesOfATurnAreBoundedInTime(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	h := &recorder{verdict: func(driver.Message) error {
		c.Advance(retryFor * 3 / 4)
		return ErrUnavailable
	}}
	r := setup(t, Options{Clock: c, PollLimit: 1, Backoff: Backoff{Base: time.Hour, Max: time.Hour}}, h.handle)
	for i := range 10 {
		r.log.Append(message(fmt.Sprint("user-", i), 0))
		if err := r.turn(); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(time.Hour)
	for range 4 {
		before := len(h.seen())
		if err := r.sub.retryDue(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(h.seen()) - before; n != 2 {
			t.Fatalf("one turn retried %d times", n)
		}
	}
}

// Options out of range are refused by name.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"MaxRetries": {MaxRetries: 4}, "PollLimit": {PollLimit: 501}, "Backoff": {Backoff: Backoff{Base: 2, Max: 1}},
		"ReplayRate": {ReplayRate: -1}, "MaxReplays": {MaxReplays: -1},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s out of range: %v", name, err)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Error(err)
	}
}
