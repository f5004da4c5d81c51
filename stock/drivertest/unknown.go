package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// gated is a driver whose decisions wait until the gate is open.
type gated struct {
	driver.Driver
	gate chan struct{}
}

func (g *gated) Decide(ctx context.Context, r *driver.Reads, decide func(*driver.State) *driver.Changes) error {
	<-g.gate
	return g.Driver.Decide(ctx, r, decide)
}

// A call that is not answered in time, or whose caller left, is Unknown and nothing else; the decision goes on, a look-up
// never says "not executed" meanwhile, and the same key then finds exactly one outcome.
func deadlineIsUnknownAndSettles(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 2, 0, 1})
	s.stop()
	g := &gated{Driver: s.drv, gate: make(chan struct{})}
	s.drv, s.opts.Deadline = g, 20*time.Millisecond
	s.start()
	first := s.buy("u", "1", item("a", 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := s.p.Attempt(ctx, stock.Request{Sale: "s", User: "u", Key: "2", Items: []stock.Item{item("a", 1)}})
	for key, a := range map[string]stock.Answer{"1": first, "2": second} {
		if a.State == stock.Unknown && a.Attempt == nil {
			continue
		}
		if key == "2" && a.State == stock.Lost && a.Reason == errs.ReducedCapacity {
			continue
		}
		t.Errorf("attempt %s while nothing is decided: %+v, want unknown", key, a)
	}
	if a, ok, err := s.p.Lookup(t.Context(), "s", "u", "1"); err != nil || ok && a.State != stock.Unknown {
		t.Errorf("lookup while nothing is decided: %+v, %v, %v", a, ok, err)
	} else if !ok {
		t.Error("lookup says that an attempt in flight was not executed")
	}
	close(g.gate)
	s.stop()
	s.drv, s.opts.Deadline = g.Driver, unhurried
	s.start()
	for _, key := range []string{"1", "2"} {
		s.mustWin("u", key, item("a", 1))
	}
	s.expectLevel("in the end", "a", 0, 2, 0)
	s.audit()
}

// While replies to commits are lost, no call is ever told a failure or a wrong answer: winners are exactly the holds, the same
// key gives the same answer, and units are conserved, also after a restart.
func lostReplyIsNeverFailure(t testing.TB, h Harness) {
	if len(h.FaultCommits) == 0 {
		t.Skip("the driver has no fault point at its commit")
	}
	s := newShopWith(t, h, stock.Options{Deadline: unhurried, MaxBatch: 4})
	const units, buyers = 20, 60
	s.open("s", goods{"a", units, 1, 1})
	s.loseReplies(func(hit int) bool { return hit%3 != 0 })
	answers := make([]stock.Answer, buyers)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = s.settled(fmt.Sprint("u", i), "k", item("a", 1)) })
	}
	wg.Wait()
	s.loseReplies(nil)
	won := 0
	for i, a := range answers {
		switch {
		case a.State == stock.Won:
			won++
		case a.State != stock.Lost || a.Reason != errs.StockHeld:
			t.Errorf("buyer %d: %+v", i, a)
		}
	}
	if won != units {
		t.Errorf("%d buyers won %d units", won, units)
	}
	check := func() {
		for i, a := range answers {
			if a.State != stock.Won {
				continue
			}
			if again := s.buy(fmt.Sprint("u", i), "k", item("a", 1)); again.State != stock.Won || again.Attempt.ID != a.Attempt.ID {
				t.Errorf("buyer %d won %v and now gets %+v", i, a.Attempt.ID, again)
			}
		}
		s.expectLevel("after lost replies", "a", 0, units, 0)
		s.audit()
	}
	check()
	s.restart()
	check()
}

// loseReplies makes the commits lose their reply for which lost says so; nil ends it.
func (s *shop) loseReplies(lost func(hit int) bool) {
	for _, point := range s.h.FaultCommits {
		if lost == nil {
			s.faults.Set(point, nil)
			continue
		}
		s.faults.Set(point, func(hit int) error {
			if lost(hit) {
				return errors.New("the reply to the commit is lost")
			}
			return nil
		})
	}
}

// settled attempts with one key until the answer is known.
func (s *shop) settled(user, key string, items ...stock.Item) stock.Answer {
	limit := time.After(patience)
	for {
		a := s.buy(user, key, items...)
		known := a.State != stock.Unknown && a.Reason != errs.KeyInProgress && a.Reason != errs.ReducedCapacity
		if known {
			return a
		}
		select {
		case <-limit:
			s.Errorf("%s's attempt %q is not settled: %+v", user, key, a)
			return a
		case <-time.After(time.Millisecond):
		}
	}
}

// When the reply to an operator's commit is lost, success means that the act happened once, "unknown" that it happened once or
// not at all, and any other error that it did not happen.
func lostRepliesNeverLieToOperators(t testing.TB, h Harness) {
	ctx := t.Context()
	offer := func(key string) func(s *shop) error {
		return func(s *shop) error {
			_, err := s.p.Offer(ctx, stock.OfferRequest{Sale: "s", SKU: "a", Delta: 1, Key: key}, by("act"))
			return err
		}
	}
	update := func(version int64) func(s *shop) error {
		return func(s *shop) error {
			_, err := s.p.UpdateSale(ctx, "s", version, func(x *driver.Sale) error { x.Title += "."; return nil }, by("act"))
			return err
		}
	}
	acts := map[string]func(s *shop) error{
		"offer": offer("k"), "offer without a key": offer(""), "update": update(1), "update of any version": update(0),
		"record": func(s *shop) error { return s.p.Record(ctx, by("act")) },
		"create": func(s *shop) error {
			sale := driver.Sale{ID: "r", StartsAt: start, EndsAt: far, Window: window, Items: []driver.SaleItem{{SKU: "a", Price: 1, Currency: "CNY"}}}
			_, err := s.p.CreateSale(ctx, sale, map[string]int64{"a": 1}, by("act"))
			return err
		},
	}
	for _, point := range h.FaultCommits {
		for name, act := range acts {
			for lost := 1; lost <= 2; lost++ {
				s := newShop(t, h)
				s.open("s", goods{"a", 5, 0, 1})
				s.faults.Set(point, losing(lost))
				err := act(s)
				s.faults.Set(point, nil)
				s.mustWin("u", "k", item("a", 1))
				times := s.happened()
				truth := times == 1 || err != nil && times == 0
				if err != nil && !errs.Is(err, errs.Unknown) && times != 0 {
					truth = false
				}
				if !truth {
					t.Errorf("%s, %d lost replies at %s: told %v, happened %d times", name, lost, point, err, times)
				}
				s.audit()
			}
		}
	}
}

// happened counts how often the one act of an operator took effect, by the trail and by what it changes; they must agree.
func (s *shop) happened() int {
	trail := 0
	for _, a := range s.audits() {
		if a.Act == "act" {
			trail++
		}
	}
	snap := s.snapshot()
	effects := 0
	for _, x := range snap.Sales {
		if x.ID == "s" {
			effects += len(x.Title) - 1
		} else {
			effects++
		}
	}
	for _, row := range snap.Stock {
		if row.Sale == "s" {
			effects += int(row.Offered) - 5
		}
	}
	if effects != 0 && effects != trail {
		s.Errorf("an act is in the trail %d times and took effect %d times", trail, effects)
	}
	return max(trail, effects)
}

// Claims are found by their id and stay due at their time though the clock was set back and forth while they were won.
func clockStepLosesNoClaim(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 10000, 0, 1})
	s.update(func(x *driver.Sale) { x.StartsAt, x.EndsAt = start.Add(-24*time.Hour), start.Add(24*time.Hour) })
	var wins []*driver.Attempt
	for round, step := range []time.Duration{0, -time.Hour, 30 * time.Minute, -2 * time.Hour, time.Millisecond, 5 * time.Hour} {
		s.clk.advance(step)
		got := make([]stock.Answer, 200)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = s.buy(fmt.Sprint("u", i), fmt.Sprint("k", round), item("a", 1)) })
		}
		wg.Wait()
		for i, a := range got {
			if a.State != stock.Won {
				t.Fatalf("round %d, buyer %d: %+v", round, i, a)
			}
			wins = append(wins, a.Attempt)
		}
	}
	check := func(when string) {
		for _, w := range wins {
			if c := s.claim(w.ID); c == nil || c.Key != w.Key || !c.At.Equal(w.At) {
				t.Fatalf("%s: claim %v of %+v is found as %+v", when, w.ID, w.Key, c)
			}
		}
		now, due := start.Add(-time.Hour+window+grace), 0
		for _, w := range wins {
			if !w.ReleaseAt.After(now) {
				due++
			}
		}
		if n := len(s.due(now, 10000)); n != due {
			t.Errorf("%s: %d claims are due, want %d", when, n, due)
		}
	}
	check("at once")
	s.restart()
	check("after a restart")
	s.audit()
}
