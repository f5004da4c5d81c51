package storm

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/check"
	"penstock/check/history"
)

// A truthful shop sells exactly min(stock, willing buyers), and the report's figures add up.
func TestSellsMinOfStockAndBuyers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stock, users int }{{1, 50}, {40, 400}, {300, 60}} {
		s := newShop(t, c.stock)
		cfg := s.config(s.serve(), c.users)
		cfg.Pay, cfg.Cancel, cfg.Linger = 1, 0, time.Minute // it ends as soon as everybody has his answer
		rep, err := Run(t.Context(), cfg)
		if err != nil || rep.Verdict != check.Pass {
			t.Fatalf("seed %d: %v %v\n%s", cfg.Seed, err, rep.Notes, rep.Check.Text())
		}
		want := int64(min(c.stock, c.users))
		if rep.Won != want || rep.Stock.Sold != want || rep.Buyers.Paid != want || rep.Won+rep.Lost != int64(c.users) {
			t.Errorf("stock %d, %d buyers: won %d, lost %d, sold %d", c.stock, c.users, rep.Won, rep.Lost, rep.Stock.Sold)
		}
		sum := rep.Answers["won"] + rep.Answers["lost"] + rep.Refused + rep.Shed + rep.Unknown
		if rep.Attempts != sum || rep.Attempts < int64(c.users) || rep.Latency.P50 <= 0 || rep.Latency.Max < rep.Latency.P99 {
			t.Errorf("attempts %d, by kind %v, latency %+v", rep.Attempts, rep.Answers, rep.Latency)
		}
	}
}

// Who cancels makes room for somebody who was refused before: after the last call nothing is free while anybody wants it.
func TestCancelledUnitsAreSoldAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t, 50)
	rep, err := Run(t.Context(), s.config(s.serve(), 300))
	if err != nil || rep.Verdict != check.Pass {
		t.Fatalf("%v %v\n%s", err, rep.Notes, rep.Check.Text())
	}
	if rep.Stock.Available != 0 || rep.Won-rep.Buyers.Cancelled != 50 || rep.Buyers.Cancelled == 0 {
		t.Errorf("%+v, %v", rep.Buyers, s)
	}
	if rep.Passes != 150 || rep.Replayed == 0 {
		t.Errorf("%d passes, %d replays", rep.Passes, rep.Replayed)
	}
}

// Connections that break after the purchase, and refusals for load, cost nobody his unit: unknowns settle.
func TestSurvivesBrokenConnections(t *testing.T) {
	t.Parallel()
	s := newShop(t, 30)
	s.hangUp = func(n int) bool { return n%3 == 0 }
	s.busy = func(n int) bool { return n%5 == 0 }
	cfg := s.config(s.serve(), 200)
	cfg.Retry = 0.5
	rep, err := Run(t.Context(), cfg)
	if err != nil || rep.Verdict != check.Pass || rep.Unresolved != 0 {
		t.Fatalf("%v %v\n%s", err, rep.Notes, rep.Check.Text())
	}
	if rep.Unknown == 0 || rep.Shed == 0 || rep.Won-rep.Buyers.Cancelled != 30 {
		t.Errorf("unknown %d, shed %d, won %d, %v", rep.Unknown, rep.Shed, rep.Won, s)
	}
}

// A buyer whose pass has run out goes on with his token.
func TestStalePass(t *testing.T) {
	t.Parallel()
	s := newShop(t, 100)
	s.stale = true
	cfg := s.config(s.serve(), 40)
	cfg.Pass, cfg.Double = 1, 0
	rep, err := Run(t.Context(), cfg)
	if err != nil || rep.Verdict != check.Pass || rep.Won != 40 || rep.Passes != 40 {
		t.Errorf("%v, won %d, passes %d %v\n%s", err, rep.Won, rep.Passes, rep.Notes, rep.Check.Text())
	}
}

// Each way of cheating is seen by the invariants it breaks.
func TestVerdictSeesMisbehaviour(t *testing.T) {
	t.Parallel()
	first := func(n int) bool { return n == 3 }
	for _, c := range []struct {
		name  string
		cheat func(*shop)
		want  []string
		note  string
	}{
		{"oversell", func(s *shop) { s.oversell = 5 }, []string{"I1"}, ""},
		{"an acknowledged order is forgotten", func(s *shop) { s.forget = first }, []string{"I4"}, ""},
		{"an unknown that never ends", func(s *shop) { s.hide = first }, []string{"I5"}, "unresolved"},
		{"says that nothing is free when all is", func(s *shop) { s.noStock = func(int) bool { return true } }, []string{"I3"}, ""},
		{"units vanish", func(s *shop) { s.free-- }, []string{"I2"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 20)
			cfg := s.config(s.serve(), 60)
			cfg.Settle, cfg.Double = 2*time.Second, 0
			c.cheat(s)
			rep, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, rep.Check.Failed()); d != "" || rep.Verdict != check.Fail || !strings.Contains(strings.Join(rep.Notes, "\n"), c.note) {
				t.Errorf("verdict %s, notes %q\n%s%s", rep.Verdict, rep.Notes, d, rep.Check.Text())
			}
		})
	}
}

// Every call is in the history before and after, with a stable outcome per key, and the report is one JSON object with the
// names that others read.
func TestHistoryAndReport(t *testing.T) {
	t.Parallel()
	s := newShop(t, 10)
	cfg := s.config(s.serve(), 80)
	cfg.History = filepath.Join(t.TempDir(), "history.ndjson")
	var mu sync.Mutex
	var phases []Phase
	cfg.Progress = func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		phases = append(phases, p.Phase)
	}
	rep, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(cfg.History)
	if err != nil {
		t.Fatal(err)
	}
	open, buys := map[uint64]bool{}, int64(0)
	err = history.Scan(f, func(r *history.Record) error {
		if r.Phase == history.Send {
			open[r.Call] = true
			return nil
		}
		if !open[r.Call] || r.TRecv.Before(r.TSend) || r.Seed != cfg.Seed {
			t.Errorf("answer without a question: %+v", *r)
		}
		delete(open, r.Call)
		if r.Op == history.Buy {
			buys++
		}
		return nil
	})
	if err = errors.Join(err, f.Close()); err != nil || len(open) != 0 || buys != rep.Attempts {
		t.Errorf("%v, %d open calls, %d attempts written, %d reported", err, len(open), buys, rep.Attempts)
	}
	text, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verdict", "invariants", "attempts", "won", "lost", "refused", "shed", "unknown", "unresolved", "latency_ms", "offered_rate", "achieved_rate", "seed"} {
		if _, ok := object[name]; !ok {
			t.Errorf("the report has no %q", name)
		}
	}
	if !slices.Contains(phases, Storming) || phases[0] != Preparing || phases[len(phases)-1] != Done {
		t.Errorf("phases: %v", phases)
	}
}

// Without a server, without a sale and with senseless settings the error says what is wrong.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	good := s.config(s.serve(), 1)
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Rate = 0 }, "rate is 0"},
		{func(c *Config) { c.Pay, c.Cancel = 0.8, 0.3 }, "pay + cancel"},
		{func(c *Config) { c.Retry = 2 }, "retry is 2"},
		{func(c *Config) { c.Users = 0 }, "users is 0"},
		{func(c *Config) { c.Sale = "" }, "sale must be given"},
		{func(c *Config) { c.Conns = -1 }, "conns is -1"},
		{func(c *Config) { c.Outcomes = map[string]float64{"captured": 1} }, `"captured" is none of capture,`},
		{func(c *Config) { c.Outcomes = map[string]float64{"lose": 0} }, "no weight"},
		{func(c *Config) { c.SKU = "hat" }, "does not sell it"},
		{func(c *Config) { c.URL = "http://127.0.0.1:1" }, "source unreachable"},
		{func(c *Config) { c.Sale = "other" }, `has no sale "other"`},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, good); err == nil {
		t.Error("a cancelled storm returned a report")
	}
}
