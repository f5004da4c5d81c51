package gate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// shared is a stock database with a clock of its own, which is ahead of the process's.
type shared struct {
	clk     *clock.Fake
	ahead   time.Duration
	doc     driver.Sale
	entries []driver.Entry
}

func (d *shared) Snapshot(context.Context) (*driver.Snapshot, error) {
	return &driver.Snapshot{
		Seq: uint64(len(d.entries)), Now: d.clk.Now().Add(d.ahead), Sales: []driver.Sale{d.doc},
		Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: 9, Available: 5, Held: 4, Version: 1 + int64(len(d.entries))}},
	}, nil
}

func (d *shared) Journal(_ context.Context, after uint64, _ int) ([]driver.Entry, error) {
	return d.entries[after:], nil
}

// wins binds a win on another process.
func (d *shared) wins(user string) {
	a := &driver.Attempt{Key: driver.Key{Sale: "s", User: user, Key: "k"}, Lines: []driver.Line{{SKU: "tea", Quantity: 1}}}
	d.entries = append(d.entries, driver.Entry{Seq: uint64(len(d.entries)) + 1, Kind: driver.Hold, Attempt: a})
}

// ending is a gate in front of a sale that ends, by the database's clock, after 10 s.
func ending(t *testing.T, ahead time.Duration) (*shared, func(user string) string, func()) {
	t.Helper()
	clk := clock.NewFake(time.Unix(1000, 0))
	start := clk.Now().Add(ahead)
	d := &shared{clk: clk, ahead: ahead, doc: driver.Sale{ID: "s", StartsAt: start.Add(-time.Hour), EndsAt: start.Add(10 * time.Second), Version: 1}}
	m, x := gate.New(0), gate.NewIndex(d, 0)
	m.Use(x)
	r := gate.NewResync(m, d, gate.ResyncOptions{Clock: clk, Index: x})
	say := func(user string) string {
		v := m.Admit(t.Context(), clk.Now(), &stock.Request{Sale: "s", User: user, Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
		return fmt.Sprint(v.Say, " ", v.Answer.Reason)
	}
	return d, say, func() {
		t.Helper()
		if _, err := r.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Who won on another process in the last moment before the end, and asks again here right after it, is looked up.
func TestLastMomentWinnerIsNotRefusedUnasked(t *testing.T) {
	t.Parallel()
	d, say, resync := ending(t, 0)
	resync()
	d.clk.Advance(10 * time.Second)
	if got := say("bob"); got != "ask sale-closed" { // the first refusal wakes the index
		t.Errorf("at the end: %s", got)
	}
	resync()
	d.wins("ann") // decided before the end, committed after it
	d.clk.Advance(100 * time.Millisecond)
	for _, user := range []string{"ann", "bob"} {
		if got := say(user); got != "ask sale-closed" {
			t.Errorf("%s right after the end: %s", user, got)
		}
	}
	d.clk.Advance(6 * time.Second)
	resync()
	if ann, bob := say("ann"), say("bob"); ann != "ask sale-closed" || bob != "refuse sale-closed" {
		t.Errorf("well after the end: %s, %s", ann, bob)
	}
}

// What paused the sale is newer than what the index has read: only the look-up can tell.
func TestPausedMeansAskUntilTheIndexHasReadSo(t *testing.T) {
	t.Parallel()
	d, say, resync := ending(t, 0)
	d.doc.Paused, d.doc.Version = true, 2
	resync()
	_ = say("bob") // wakes the index
	resync()
	if got := say("bob"); got != "refuse sale-paused" {
		t.Errorf("while paused: %s", got)
	}
}

// A process whose clock is wrong refuses by the clock of the database.
func TestWrongClockRefusesNobody(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-2 * time.Hour, time.Hour} {
		d, say, resync := ending(t, ahead)
		resync()
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "pass "}, {9999 * time.Millisecond, "pass "}, {time.Millisecond, "ask sale-closed"}} {
			d.clk.Advance(step.after)
			if got := say("ann"); got != step.want {
				t.Errorf("database ahead by %v, %v later: %s, want %s", ahead, step.after, got, step.want)
			}
		}
	}
}

// An hour after its end nobody knows who has something bound in a sale, so everybody is looked up, also when the end is put off; nothing
// of it is kept, and another sale is known as before.
func TestSalesThatAreOverLeaveTheIndex(t *testing.T) {
	t.Parallel()
	d, say, once := ending(t, 0)
	d.wins("ann")
	d.clk.Advance(20 * time.Second)
	once()
	say("ben")
	once()
	if a, b := say("ann"), say("ben"); a != "ask sale-closed" || b != "refuse sale-closed" {
		t.Fatalf("after the end ann is told %q, ben %q", a, b)
	}
	once()
	d.clk.Advance(time.Hour)
	once()
	if b := say("ben"); b != "ask sale-closed" {
		t.Errorf("an hour later ben is told %q", b)
	}
	d.doc.EndsAt, d.doc.SoldOut, d.doc.Version = d.clk.Now().Add(time.Hour), true, 2
	d.wins("cem")
	once()
	say("ben")
	once()
	if a, b, c := say("ann"), say("ben"), say("cem"); a != "ask sold-out" || b != "ask sold-out" || c != "ask sold-out" {
		t.Errorf("after the end was put off: %q, %q, %q", a, b, c)
	}
}
