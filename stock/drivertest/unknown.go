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
	if h.FaultCommit == "" {
		t.Skip("the driver has no fault point at its commit")
	}
	s := newShopWith(t, h, stock.Options{Deadline: unhurried, MaxBatch: 4})
	const units, buyers = 20, 60
	s.open("s", goods{"a", units, 1, 1})
	s.faults.Set(h.FaultCommit, func(hit int) error {
		if hit%3 != 0 {
			return errors.New("the reply to the commit is lost")
		}
		return nil
	})
	answers := make([]stock.Answer, buyers)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = s.settled(fmt.Sprint("u", i), "k", item("a", 1)) })
	}
	wg.Wait()
	s.faults.Set(h.FaultCommit, nil)
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
