package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/engine/sqldb"
	"penstock/internal/clock"
)

// Every event that was asked for arrives once, verifies, is a CloudEvent, and those of one user arrive in order.
func testDelivers(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r, "stock.*")
	const users, each = 5, 8
	for i := range users * each {
		w.say(message(i, fmt.Sprint("u", i%users), "stock.held"), message(1000+i, "other", "order.paid"))
	}
	w.until(soon, "all arrived", func() bool { return len(r.got()) >= users*each && w.states(ep.ID)[Delivered] == users*each })
	last := map[string]string{}
	for _, g := range r.got() {
		if g.valid != 1 || g.event.SpecVersion != "1.0" || g.event.Type != "stock.held" || g.event.ID != g.id || g.event.Source != "penstock/stock" {
			t.Fatalf("got %+v", g)
		}
		if u := g.event.PartitionKey; g.event.Subject <= last[u] {
			t.Fatalf("user %s: %s after %s", u, g.event.Subject, last[u])
		} else {
			last[u] = g.event.Subject
		}
	}
	if n := len(r.got()); n != users*each {
		t.Errorf("%d requests for %d events", n, users*each)
	}
}

// A message that the bus brings again is queued once; a try whose outcome was lost is made again under the same id; what is no
// JSON is poison.
func testRedelivery(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	w.faults.Set(PointSent, func(hit int) error {
		if hit <= 2 {
			return errors.New("killed")
		}
		return nil
	})
	w.say(message(1, "ann", "stock.held"))
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it is delivered", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	all := r.got()
	if len(all) != 3 || all[0].id != all[1].id || all[1].id != all[2].id {
		t.Errorf("got %d requests: %v", len(all), all)
	}
	bad := message(2, "ann", "stock.held")
	bad.Payload = []byte("not json")
	if errs := w.Handle(t.Context(), []driver.Message{bad}); !errors.Is(errs[0], bus.ErrPoison) {
		t.Errorf("no JSON: %v", errs[0])
	}
}

// A receiver that refuses one message gets it ten times, with the waits of the schedule, over more than three days. Then it is
// given up and the user's next message comes; other users never waited.
func testRetries(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, g got, _ int) {
		if g.event.Subject == "1001" {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.say(message(1, "ann", "stock.held"), message(2, "bob", "stock.held"))
	w.say(message(3, "ann", "stock.sold"))
	w.until(soon, "bob has his", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	tries := func() (at []time.Time) {
		for _, g := range r.got() {
			if g.event.Subject == "1001" {
				at = append(at, g.at)
			}
		}
		return at
	}
	for i, wait := range schedule() {
		var d []Delivery
		w.until(still, "the try is written down", func() bool {
			var err error
			d, err = w.Deliveries(t.Context(), ep.ID, Due, 0, 1)
			return err == nil && len(d) == 1 && d[0].Tries == i+1
		})
		if next := d[0].NextAt.Sub(d[0].TriedAt); next < wait || next > wait+wait/10+time.Second {
			t.Errorf("wait %d is %v, the schedule says %v", i+1, next, wait)
		}
		w.clk.Advance(d[0].NextAt.Sub(w.clk.Now()) - time.Millisecond)
		w.until(time.Millisecond, "the next try", func() bool { return len(tries()) == i+2 })
		if at := tries()[i+1]; at.Before(d[0].NextAt) {
			t.Errorf("try %d came %v early", i+2, d[0].NextAt.Sub(at))
		}
	}
	w.until(soon, "it is given up and the next comes", func() bool {
		s := w.states(ep.ID)
		return s[GivenUp] == 1 && s[Delivered] == 2
	})
	at := tries()
	if days := at[len(at)-1].Sub(at[0]); len(at) != 10 || days < 72*time.Hour {
		t.Errorf("%d tries in %v", len(at), days)
	}
}

// 410 disables the endpoint at once; what waits goes on when an operator enables it.
func testGone(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusGone) })
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it is disabled", func() bool { return !w.get(ep.ID).Enabled })
	w.say(message(2, "ann", "stock.sold")) // nobody is told of it
	w.until(still, "somebody is told", func() bool { return w.told() > 0 })
	if n := w.told(); n != 1 {
		t.Errorf("%d alerts", n)
	}
	r.set(nil)
	for range 100 {
		w.clk.Advance(time.Minute)
	}
	if n := len(r.got()); n != 1 {
		t.Fatalf("a disabled endpoint got %d requests", n)
	}
	if _, err := w.Enable(t.Context(), "op", ep.ID, "they are back"); err != nil {
		t.Fatal(err)
	}
	w.until(soon, "what waited is delivered", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	if n := len(w.states(ep.ID)); n != 1 {
		t.Errorf("states: %v", w.states(ep.ID))
	}
}

// Whoever asks for time gets it, for everything that is for him.
func testRetryAfter(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, n int) {
		if n == 1 {
			rw.Header().Set("Retry-After", "7200")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it asked for time", func() bool { return !w.get(ep.ID).PausedUntil.IsZero() })
	asked := r.got()[0].at
	w.say(message(2, "bob", "stock.held"))
	w.until(time.Minute, "both are delivered", func() bool { return w.states(ep.ID)[Delivered] == 2 })
	for _, g := range r.got()[1:] {
		if d := g.at.Sub(asked); d < 2*time.Hour {
			t.Errorf("came %v after", d)
		}
	}
	if !w.get(ep.ID).PausedUntil.IsZero() {
		t.Error("still paused after a success")
	}
}

// A redirect is a failure, and nothing is asked of where it leads.
func testRedirect(t *testing.T, e engine) {
	w := begin(t, e)
	r, inside := newReceiver(t, w.clk), newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) {
		rw.Header().Set("Location", inside.URL)
		rw.WriteHeader(http.StatusTemporaryRedirect)
	})
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it failed", func() bool {
		d, err := w.Deliveries(t.Context(), ep.ID, Due, 0, 1)
		return err == nil && len(d) == 1 && d[0].Tries == 1 && d[0].Status == http.StatusTemporaryRedirect
	})
	if n := len(inside.got()); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// An endpoint that takes nothing for five days is disabled, with an alert that says since when.
func testDaysOfFailure(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusBadGateway) })
	for i := range 30 {
		w.say(message(i, fmt.Sprint("u", i), "stock.held"))
	}
	w.until(20*time.Minute, "it is disabled", func() bool { return !w.get(ep.ID).Enabled })
	w.until(still, "somebody is told", func() bool { return w.told() > 0 })
	got := w.get(ep.ID)
	if days := w.clk.Now().Sub(got.FailingSince); days < 5*24*time.Hour || got.Why == "" {
		t.Errorf("disabled after %v: %q", days, got.Why)
	}
	if n := w.told(); n != 1 {
		t.Errorf("%d alerts", n)
	}
}

// While an endpoint fails it gets one try at a time, so that 120 messages lose hardly any of theirs in an hour; then all arrive.
func testOutage(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	r.set(func(rw http.ResponseWriter, _ got, _ int) { rw.WriteHeader(http.StatusBadGateway) })
	var batch []driver.Message
	for i := range 120 {
		batch = append(batch, message(i, fmt.Sprint("u", i), "stock.held"))
	}
	w.say(batch...)
	begun := w.clk.Now()
	w.until(2*time.Second, "an hour is over", func() bool { return w.clk.Now().Sub(begun) > time.Hour })
	if n := len(r.got()); n < trip || n > 60 {
		t.Errorf("%d tries in an hour", n)
	}
	r.set(nil)
	w.until(time.Second, "all arrived", func() bool { return w.states(ep.ID)[Delivered] == 120 })
}

// A process that lost an endpoint while a request was out writes nothing down: whoever has it decides.
func testFenced(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	hold := make(chan struct{})
	free := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(free)
	r.set(func(http.ResponseWriter, got, int) { <-hold })
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "the request is out", func() bool { return len(r.got()) == 1 })
	d, err := w.Deliveries(t.Context(), ep.ID, -1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.rob(w.Hooks)
	row, err := w.row(t.Context(), ep.ID)
	if err == nil {
		err = w.settle(t.Context(), &row, &d[0], outcome{status: http.StatusOK})
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := w.states(ep.ID); s[Due] != 1 { // the clock stands still: nobody has taken it since
		t.Errorf("states %v", s)
	}
}

// Keep is kept: settled deliveries and events that are older are forgotten, what still waits is given up when its event is gone.
func testPrune(t *testing.T, e engine) {
	w := begin(t, e)
	r := newReceiver(t, w.clk)
	ep := w.endpoint(r)
	w.say(message(1, "ann", "stock.held"))
	w.until(soon, "it is delivered", func() bool { return w.states(ep.ID)[Delivered] == 1 })
	if _, err := w.Disable(t.Context(), "op", ep.ID, "rest"); err != nil {
		t.Fatal(err)
	}
	late := Event{ID: "msg_late", Topic: "stock", Type: "stock.held", User: "bob", Body: []byte("{}")}
	err := w.db.Do(t.Context(), sqldb.NoLock, func(tx txn) error {
		row, err := w.row(t.Context(), ep.ID)
		if err != nil {
			return err
		}
		return w.add(tx, &row, &late)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(31 * 24 * time.Hour)
	if _, err := w.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	var events int
	if err := w.db.Scan(t.Context(), `SELECT count(*) FROM webhook_events`, nil, &events); err != nil || events != 0 {
		t.Errorf("%d events are kept: %v", events, err)
	}
	if _, err := w.Enable(t.Context(), "op", ep.ID, "back"); err != nil {
		t.Fatal(err)
	}
	w.until(soon, "what has no event is given up", func() bool { s := w.states(ep.ID); return s[GivenUp] == 1 && len(s) == 1 })
}

// A message that no table can keep costs only itself.
func testUnkeepable(t *testing.T, e engine) {
	w := begin(t, e)
	ep := w.endpoint(newReceiver(t, w.clk))
	long := strings.Repeat("x", 600)
	msgs := []driver.Message{message(1, "ann", "stock.held"), message(2, long, "stock.held"), message(3, "bob", "stock."+long), message(4, "bob", "stock.held")}
	for i, err := range w.Handle(t.Context(), msgs) {
		if bad := i == 1 || i == 2; errors.Is(err, bus.ErrPoison) != bad || !bad && err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	w.until(soon, "the others are delivered", func() bool { return w.states(ep.ID)[Delivered] == 2 })
}

// between is a store in which something happens before the first transaction, after what it was decided by was read.
type between struct {
	Store
	then func()
}

func (b *between) Do(ctx context.Context, slot int, f func(txn) error) error {
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return b.Store.Do(ctx, slot, f)
}

// A delivery that is replayed while old ones are being forgotten stays, and so does the turn of those that wait behind it.
func testPruneMeetsReplay(t *testing.T, e engine) {
	w := &world{t: t, e: e, where: e.place(t), clk: clock.NewFake(noon), log: &bytes.Buffer{}}
	w.Hooks = w.process()
	t.Cleanup(func() { w.db.Close() })
	ep := w.endpoint(newReceiver(t, w.clk))
	w.say(message(1, "ann", "stock.held"))
	err := w.db.Do(t.Context(), sqldb.NoLock, func(tx txn) error {
		_, err := tx.Exec(`UPDATE webhook_deliveries SET state=?, next_at=NULL`, Delivered)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(31 * 24 * time.Hour)
	pruner, err := New(&between{w.db, func() {
		if _, err := w.Replay(t.Context(), "op", ep.ID, 1, "they lost it"); err != nil {
			t.Error(err)
		}
		w.say(message(2, "ann", "stock.sold"))
	}}, w.seal, w.o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pruner.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.states(ep.ID); s[Due] != 1 || s[Waiting] != 1 {
		t.Errorf("the states are %v", s)
	}
}
