package reconcile

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// tape is a stock database whose rows and journal a test writes as it likes.
type tape struct {
	rows    []driver.Stock
	entries []driver.Entry
}

func (b *tape) Snapshot(context.Context) (*driver.Snapshot, error) {
	return &driver.Snapshot{Seq: uint64(len(b.entries)), Stock: append([]driver.Stock(nil), b.rows...)}, nil
}

func (b *tape) Journal(_ context.Context, after uint64, limit int) ([]driver.Entry, error) {
	return b.entries[after:min(int(after)+limit, len(b.entries))], nil
}

// move writes a row's change with its entry.
func (b *tape) move(kind driver.Kind, row driver.Stock) {
	b.rows[0] = row
	b.entries = append(b.entries, driver.Entry{Seq: uint64(len(b.entries) + 1), Kind: kind, Attempt: &driver.Attempt{
		ID: ident.ID(len(b.entries) + 1), Key: driver.Key{Sale: "s", User: "ann"}, Lines: []driver.Line{{SKU: "a", Quantity: 2}},
	}})
}

func newTape() *tape {
	return &tape{rows: []driver.Stock{{Sale: "s", SKU: "a", Offered: 10, Available: 10, Version: 1}}}
}

func row(available, held, sold, version int64) driver.Stock {
	return driver.Stock{Sale: "s", SKU: "a", Offered: 10, Available: available, Held: held, Sold: sold, Version: version}
}

// watch is a monitor over a tape with what it did.
type watch struct {
	*Monitor
	standing map[string]int
	frozen   []string
	level    *driver.Stock // of the gate; nil means the row
}

func newWatch(b *tape, freeze error) *watch {
	w := &watch{standing: map[string]int{}}
	w.Monitor = NewMonitor(b, MonitorOptions{
		Clock: clock.NewFake(time.Unix(0, 0)), Logger: slog.New(slog.DiscardHandler),
		Level: func(string, string) *driver.Stock {
			if w.level != nil {
				return w.level
			}
			return &b.rows[0]
		},
		Standing: func(kind string, n int) { w.standing[kind] = n },
		Freeze: func(_ context.Context, sale, _ string) error {
			w.frozen = append(w.frozen, sale)
			return freeze
		},
	})
	return w
}

func (w *watch) rounds(t *testing.T, n int) (kinds string) {
	t.Helper()
	for range n {
		kinds = ""
		all, err := w.Round(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			kinds += d.Kind
		}
	}
	return kinds
}

// Whatever moves as it should, with the gate a round behind it, is never an alert.
func TestMonitorIsSilentWhileBooksAgree(t *testing.T) {
	t.Parallel()
	b := newTape()
	w := newWatch(b, nil)
	w.rounds(t, 1)
	stale := b.rows[0]
	w.level = &stale
	for i, c := range []struct {
		kind driver.Kind
		row  driver.Stock
	}{
		{driver.Hold, row(8, 2, 0, 2)}, {driver.Hold, row(6, 4, 0, 3)}, {driver.Sell, row(6, 2, 2, 4)}, {driver.Release, row(8, 0, 2, 5)},
		{driver.Release, row(10, 0, 0, 6)}, {driver.Hold, row(8, 2, 0, 7)}, {driver.Sell, row(8, 0, 2, 8)},
	} {
		b.move(c.kind, c.row)
		if got := w.rounds(t, 1); got != "" {
			t.Errorf("step %d: %s", i, got)
		}
		stale = b.rows[0]
	}
	if got := w.rounds(t, 6); got != "" || len(w.frozen) != 0 {
		t.Errorf("at rest: %s, frozen %v", got, w.frozen)
	}
}

// In a rush the monitor falls behind the journal and says nothing wrong; when it has caught up it finds what was wrong meanwhile.
func TestMonitorFallsBehindInARush(t *testing.T) {
	t.Parallel()
	b := newTape()
	w := newWatch(b, nil)
	w.rounds(t, 1)
	for range 2 * roundNumbers { // each time two units are held and come back
		b.move(driver.Hold, row(8, 2, 0, 2))
		b.move(driver.Release, row(10, 0, 0, 3))
	}
	if got := w.rounds(t, 3); got != "" || w.seq >= uint64(len(b.entries)) {
		t.Errorf("in the rush: %q, read up to %d of %d", got, w.seq, len(b.entries))
	}
	b.rows[0] = row(9, 1, 0, 4) // a unit is gone and no entry says so
	if got := w.rounds(t, 6); got != KindLedger {
		t.Errorf("after the rush: %q, want %q", got, KindLedger)
	}
}

// Each violation is an alert once it was seen often enough, also while the row goes on to move; it freezes its sale once unless
// it is about the gate only, and is gone from the gauge when it is mended.
func TestMonitorTellsAndFreezes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   string
		rounds int
		frozen int
		plant  func(*tape, *watch)
		mend   func(*tape, *watch)
	}{
		{"a unit that was made", KindRow + KindLedger, 2, 1, func(b *tape, _ *watch) { b.rows[0].Available++ }, func(b *tape, _ *watch) { b.rows[0].Available-- }},
		{"a unit below zero", KindRow + KindLedger, 2, 1, func(b *tape, _ *watch) { b.rows[0] = row(12, -2, 0, 1) }, func(b *tape, _ *watch) { b.rows[0] = row(10, 0, 0, 1) }},
		{"a sale without an entry", KindLedger, 2, 1, func(b *tape, _ *watch) { b.rows[0] = row(9, 0, 1, 1) }, func(b *tape, _ *watch) { b.rows[0] = row(10, 0, 0, 1) }},
		{"an entry without its change", KindLedger, 2, 1, func(b *tape, _ *watch) { b.move(driver.Hold, b.rows[0]) }, func(b *tape, _ *watch) { b.rows[0] = row(8, 2, 0, 2) }},
		{"a row that is gone", KindLedger, 2, 1, func(b *tape, _ *watch) { b.rows = nil }, func(b *tape, _ *watch) { b.rows = newTape().rows }},
		{"a gate that stands still", KindGate, 4, 0, func(_ *tape, w *watch) { l := row(5, 5, 0, 1); w.level = &l }, func(_ *tape, w *watch) { w.level = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newTape()
			w := newWatch(b, nil)
			w.rounds(t, 1)
			c.plant(b, w)
			if got := w.rounds(t, c.rounds-1); got != "" {
				t.Errorf("told too soon: %s", got)
			}
			if got := w.rounds(t, 1); got != c.kind {
				t.Errorf("after %d rounds: %q, want %q", c.rounds, got, c.kind)
			}
			if w.rounds(t, 3); len(w.frozen) < c.frozen || c.frozen == 0 && len(w.frozen) > 0 || len(w.frozen) > 2 {
				t.Errorf("frozen %v", w.frozen)
			}
			c.mend(b, w)
			if got := w.rounds(t, 1); got != "" || w.standing[KindLedger]+w.standing[KindRow]+w.standing[KindGate] != 0 {
				t.Errorf("after it was mended: %q, gauge %v", got, w.standing)
			}
		})
	}
}

// A violation that stands still while its row goes on to move stays one alert; a freeze that fails is tried again, and a sale
// that is paused already is not.
func TestMonitorGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 1}, {errs.New(errs.IllegalTransition, "paused already"), 1}, {errs.New(errs.ReducedCapacity, "away"), 3}} {
		b := newTape()
		w := newWatch(b, c.err)
		w.rounds(t, 1)
		b.rows[0] = row(9, 0, 1, 1)
		for i := range int64(4) {
			b.move(driver.Hold, row(7-2*i, 2+2*i, 1, 2+i))
			w.rounds(t, 1)
		}
		if len(w.frozen) != c.want {
			t.Errorf("%v: frozen %d times, want %d", c.err, len(w.frozen), c.want)
		}
	}
}

// A process that does not lead looks at nothing, and begins from the rows as they are when its turn comes.
func TestMonitorOfOneProcess(t *testing.T) {
	t.Parallel()
	b, leads := newTape(), false
	m := NewMonitor(b, MonitorOptions{Clock: clock.NewFake(time.Unix(0, 0)), Logger: slog.New(slog.DiscardHandler), Leads: func() bool { return leads }})
	for range 3 {
		b.move(driver.Hold, row(8, 2, 0, 2))
		if all, err := m.Round(t.Context()); err != nil || len(all) > 0 {
			t.Errorf("%v %v", all, err)
		}
	}
	for leads = true; len(b.entries) < 6; {
		b.entries = append(b.entries, driver.Entry{Seq: uint64(len(b.entries) + 1), Kind: driver.Refuse})
		if all, err := m.Round(t.Context()); err != nil || len(all) > 0 {
			t.Errorf("%v %v", all, err)
		}
	}
}
