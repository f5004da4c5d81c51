package line

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/auth"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/stock/driver"
)

var opening = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// shop stands in for the gate: one sale "s" that tests change as they like.
type shop struct {
	mu    sync.Mutex
	doc   driver.Sale
	level driver.Stock
	asOf  time.Time
}

func (s *shop) Sale(id string) *driver.Sale {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.doc.ID {
		return nil
	}
	doc := s.doc
	return &doc
}

func (s *shop) Level(_, sku string) *driver.Stock {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.level
	l.SKU = sku
	return &l
}

// AsOf says that the rows are always up to date, unless a test says otherwise.
func (s *shop) AsOf() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asOf.IsZero() {
		return time.Unix(1e10, 0)
	}
	return s.asOf
}

func (s *shop) Sales() []*driver.Sale { return []*driver.Sale{s.Sale(s.doc.ID)} }

// sell takes n units; free gives n back.
func (s *shop) sell(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level.Available -= n
	s.level.Sold += n
}

func (s *shop) free(n int64) { s.sell(-n) }

// engine opens stores of one place: a file, or a database that several share.
type engine struct {
	shared bool
	place  func(t *testing.T) func(t *testing.T) Store
}

func onSQLite() engine {
	return engine{place: func(t *testing.T) func(t *testing.T) Store {
		path := filepath.Join(t.TempDir(), "line.db")
		return func(t *testing.T) Store {
			s, err := OpenSQLite(context.Background(), path, groupcommit.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	}}
}

func onMySQL(server *engines.Server) engine {
	return engine{shared: true, place: func(t *testing.T) func(t *testing.T) Store {
		url := server.Database(t)
		return func(t *testing.T) Store {
			cfg, err := mysql.Parse(url)
			if err != nil {
				t.Fatal(err)
			}
			db, err := mysql.Open(context.Background(), cfg, mysql.Options{Pool: 8})
			if err != nil {
				t.Fatal(err)
			}
			s, err := OpenMySQL(context.Background(), db, sqldb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close(); _ = db.Close() })
			return s
		}
	}}
}

// world is a line over a real store with a clock that stands; tests do its rounds.
type world struct {
	*Lines
	t    *testing.T
	shop *shop
	clk  *clock.Fake
	ring *auth.Ring
	opt  Options
	open func(t *testing.T) Store
}

func newShop(stock int64, admission string, rules *driver.LineRules) *shop {
	return &shop{
		doc: driver.Sale{
			ID: "s", Admission: admission, StartsAt: opening, EndsAt: opening.Add(time.Hour), Line: rules, Items: []driver.SaleItem{{SKU: "lamp", Currency: "CNY"}},
		},
		level: driver.Stock{Sale: "s", Offered: stock, Available: stock},
	}
}

func setup(t *testing.T, e engine, sh *shop) *world {
	t.Helper()
	return setupWith(t, e, Options{}, sh)
}

func setupWith(t *testing.T, e engine, o Options, sh *shop) *world {
	t.Helper()
	w := &world{t: t, shop: sh, opt: o, clk: clock.NewFake(opening.Add(-time.Hour)), open: e.place(t)}
	ring, err := auth.Open(filepath.Join(t.TempDir(), "keys.json"), auth.Options{Clock: w.clk})
	if err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	w.Lines = w.process()
	return w
}

// process is one more process over the same store; on SQLite the one before must be gone.
func (w *world) process() *Lines {
	w.t.Helper()
	o := w.opt
	o.Clock, o.Calls = w.clk, true
	l, err := New(w.open(w.t), w.shop, w.ring, o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := l.load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(l.background.Wait)
	return l
}

func (w *world) joins(l *Lines, user string) Entry {
	w.t.Helper()
	e, err := l.Join(w.t.Context(), Request{Sale: "s", User: user})
	if err != nil {
		w.t.Fatalf("%s joins: %v", user, err)
	}
	return e
}

func (w *world) looks(l *Lines, user string, id ID) Entry {
	w.t.Helper()
	e, err := l.Look(w.t.Context(), "s", user, id)
	if err != nil {
		w.t.Fatalf("%s looks: %v", user, err)
	}
	return e
}

// rounds advances the clock by tenths of a second with a round each.
func (w *world) rounds(l *Lines, n int) {
	w.t.Helper()
	for range n {
		w.clk.Advance(100 * time.Millisecond)
		if err := l.round(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if l.store.Shared() {
			if err := l.follow(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// fair recomputes the export.
func (w *world) fair(l *Lines) Served {
	w.t.Helper()
	var b bytes.Buffer
	if err := l.Export(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
	got, err := Recompute(&b)
	if err != nil {
		w.t.Error(err)
	}
	return got
}

func name(i int) string { return fmt.Sprintf("user-%04d", i) }

// policies run over both engines.
var policies = map[string]func(*testing.T, engine){
	"joining":    testJoining,
	"leavers":    testLeavers,
	"reach":      testReach,
	"passes":     testPasses,
	"restart":    testRestart,
	"draw":       testDraw,
	"proof":      testProof,
	"wait":       testWait,
	"slow":       testSlow,
	"unfairness": testUnfairness,
}

// The line keeps its promises over one file.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policies {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, onSQLite()) })
	}
}

// The line keeps its promises over a shared database, and with two processes at once.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	on := onMySQL(engines.MariaDB(t))
	for name, test := range policies {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, on) })
	}
	t.Run("late rows", func(t *testing.T) { t.Parallel(); testLateRows(t, on) })
	t.Run("two processes", func(t *testing.T) { t.Parallel(); testTwoProcesses(t, on) })
}
