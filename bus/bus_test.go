package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
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

// live is a running bus on the machine's clock with two groups, of which one feeds the other's topic.
func live(t *testing.T, first, second Handler) (b *Bus, in, out *drivertest.Log) {
	t.Helper()
	store := newStore(t)
	in, out = drivertest.NewLog("in"), drivertest.NewLog("out")
	topics := map[string][]outboxbus.Source{"in": {in}, "out": {out}}
	drv, err := outboxbus.New(t.Context(), store.db, topics, outboxbus.Options{Sole: true, Idle: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	if b, err = New(drv, store, Options{Backoff: Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	for topic, h := range map[string]Handler{"in": first, "out": second} {
		if err := b.Consume("group-"+topic, topic, h); err != nil {
			t.Fatal(err)
		}
	}
	return b, in, out
}

// until polls a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not reached: %s", what)
		}
	}
}

// A running bus carries messages through two groups; *drained* is said only when all have come through, and a stopped bus
// leaves no goroutine and no lease behind.
func TestRunDrainStop(t *testing.T) {
	t.Parallel()
	const users, each = 20, 10
	var mu sync.Mutex
	flaked, arrived := map[string]bool{}, map[string][]string{}
	var feed *drivertest.Log
	first := func(_ context.Context, batch []driver.Message) []error {
		mu.Lock()
		defer mu.Unlock()
		out := make([]error, len(batch))
		for i, m := range batch {
			if strings.HasSuffix(m.ID, "-3") && !flaked[m.ID] {
				flaked[m.ID], out[i] = true, errors.New("flake")
				continue
			}
			m.ID = "fed-" + m.ID
			feed.Append(m)
		}
		return out
	}
	second := func(_ context.Context, batch []driver.Message) []error {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range batch {
			arrived[m.User] = append(arrived[m.User], m.ID)
		}
		return nil
	}
	b, in, out := live(t, first, second)
	feed = out
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Consume("late", "in", first); err == nil {
		t.Error("a running bus took another consumer")
	}
	for n := range each {
		for u := range users {
			in.Append(message(fmt.Sprint("user-", u), n))
		}
	}
	until(t, "drained", func() bool {
		flight, err := b.InFlight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range flight {
			if n > 0 {
				return false
			}
		}
		return true
	})
	mu.Lock()
	for u := range users {
		var want []string
		for n := range each {
			want = append(want, fmt.Sprintf("fed-user-%d-%d", u, n))
		}
		if d := cmp.Diff(want, arrived[fmt.Sprint("user-", u)]); d != "" {
			t.Errorf("user %d (-want +got):\n%s", u, d)
		}
	}
	mu.Unlock()
	for range 2 {
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-b.Stopped()
	var leases int
	err := b.store.(*testStore).db.R.QueryRow(`SELECT count(*) FROM cursor WHERE owner <> ''`).Scan(&leases)
	if err != nil || leases != 0 {
		t.Fatalf("%d leases left behind, %v", leases, err)
	}
}

// Stop is bounded: a handler that hangs is cut off, its messages count as no failure and are delivered again.
func TestStopCutsOffAHangingHandler(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	b, in, _ := live(t, func(ctx context.Context, batch []driver.Message) []error {
		entered <- struct{}{}
		<-ctx.Done()
		return repeat(ctx.Err(), len(batch))
	}, func(context.Context, []driver.Message) []error { return nil })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Append(message("ann", 0))
	<-entered
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("stop returned %v", err)
	}
	<-b.Stopped()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := b.store.(*testStore)
	if users, err := store.Users(t.Context(), "group-in"); err != nil || len(users) != 0 {
		t.Fatalf("parked by the cut-off: %v, %v", users, err)
	}
	var position int
	if err := store.db.R.QueryRow(`SELECT position FROM cursor WHERE topic = 'in'`).Scan(&position); err != nil || position != 0 {
		t.Fatalf("cursor at %d after a batch that was cut off, %v", position, err)
	}
}

// A bus that was never started stops at once, and cannot be started after.
func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	b, _, _ := live(t, nopHandler, nopHandler)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err == nil {
		t.Fatal("a stopped bus started")
	}
}

func nopHandler(context.Context, []driver.Message) []error { return nil }

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
