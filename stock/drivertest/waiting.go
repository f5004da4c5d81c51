package drivertest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// openList stores a sale "s" that keeps waiting lists.
func (s *shop) openList(items ...goods) {
	s.Helper()
	s.open("s", items...)
	s.update(func(x *driver.Sale) { x.WaitingList = true })
}

func (s *shop) join(user, key, sku string, n int64) (stock.Entry, error) {
	return s.p.Join(s.Context(), stock.JoinRequest{Sale: "s", User: user, Key: key, SKU: sku, Quantity: n})
}

func (s *shop) mustJoin(user, sku string, n, position int64) uint64 {
	s.Helper()
	e, err := s.join(user, "j-"+sku, sku, n)
	if err != nil || e.State != driver.Waiting || e.Position != position || e.Replayed || e.Seq == 0 {
		s.Fatalf("%s joins for %d of %s: %+v, %v, want position %d", user, n, sku, e, err, position)
	}
	return e.Seq
}

// expectEntry fails the test unless an entry is in this state, and returns the claim it was offered.
func (s *shop) expectEntry(when, user string, entry uint64, state driver.WaitState, position int64) *driver.Attempt {
	s.Helper()
	e, err := s.p.Waiting(s.Context(), "s", user, entry)
	if err != nil || e.State != state || e.Position != position {
		s.Fatalf("%s: %s's entry is %+v, %v, want %v at %d", when, user, e, err, state, position)
	}
	if state != driver.Offered {
		return nil
	}
	c := s.claim(e.Order)
	if c == nil || c.Key != (driver.Key{Sale: "s", User: user, Key: "wait:" + strconv.FormatUint(entry, 10)}) {
		s.Fatalf("%s: the claim offered to entry %d is %+v", when, entry, c)
	}
	return c
}

// A unit that comes back, by whatever way, is held for the first who waits, at the price and with the whole window of a fresh
// win, in the transaction that frees it.
func comesBackToTheFirst(t testing.TB, h Harness) {
	ways := map[string]func(s *shop, a *driver.Attempt){
		"cancelled": func(s *shop, a *driver.Attempt) { s.mustRelease(a.ID, driver.Held, stock.WhyCancelled) },
		"refunded": func(s *shop, a *driver.Attempt) {
			s.mustSell(a.ID)
			s.mustRelease(a.ID, driver.Sold, stock.WhyRefunded)
		},
		"expired": func(s *shop, a *driver.Attempt) {
			s.clk.advance(window + grace)
			s.mustRelease(a.ID, driver.Held, stock.WhyExpired)
		},
		"paid too late": func(s *shop, a *driver.Attempt) {
			s.clk.advance(window + grace)
			if r, err := s.p.Sell(t.Context(), a.ID, "", ""); err != nil || r.Moved {
				t.Fatalf("sell after the window: %+v, %v", r, err)
			}
		},
		"added": func(s *shop, _ *driver.Attempt) { s.mustOffer("a", 1) },
	}
	for name, free := range ways {
		s := newShop(t, h)
		s.openList(goods{"a", 1, 2, 100})
		first := s.mustWin("x", "k", item("a", 1))
		u, v := s.mustJoin("u", "a", 1, 1), s.mustJoin("v", "a", 1, 2)
		free(s, first)
		now := s.clk.Now()
		c := s.expectEntry(name, "u", u, driver.Offered, 0)
		if c.State != driver.Held || c.Amount != 100 || !c.At.Equal(now) || !c.PayBefore.Equal(now.Add(window)) || !c.ReleaseAt.Equal(now.Add(window+grace)) {
			t.Errorf("%s: the offer at %v is %+v", name, now, c)
		}
		s.expectEntry(name, "v", v, driver.Waiting, 1)
		if row := s.levels("s")["a"]; row.Available != 0 || row.Waiting != 1 {
			t.Errorf("%s: the row is %+v, want nothing free and one waiting", name, row)
		}
		s.mustSell(c.ID)
		s.audit()
		s.shut()
	}
}

// shut closes stock and database before the case ends, for cases that open many.
func (s *shop) shut() {
	s.Helper()
	s.stop()
	if err := s.drv.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
}

// While somebody waits, a unit that comes back is never free for others, not even in the batch that frees it.
func nothingIsPublic(t testing.TB, h Harness) {
	s := newShop(t, h)
	const rounds = 30
	s.openList(goods{"a", rounds, 0, 1})
	var held []*driver.Attempt
	for i := range rounds {
		held = append(held, s.mustWin(fmt.Sprint("w", i), "k", item("a", 1)))
	}
	var entries []uint64
	for i := range rounds {
		entries = append(entries, s.mustJoin(fmt.Sprint("u", i), "a", 1, int64(i)+1))
	}
	var wg sync.WaitGroup
	for i := range rounds {
		wg.Go(func() { s.mustMove(s.p.Release(t.Context(), held[i].ID, driver.Held, stock.WhyCancelled, "")) })
		wg.Go(func() {
			if a := s.buy(fmt.Sprint("p", i), "k", item("a", 1)); a.Reason != errs.StockHeld {
				t.Errorf("a passer-by is told %+v", a)
			}
		})
	}
	wg.Wait()
	for i, e := range entries {
		s.expectEntry("in the end", fmt.Sprint("u", i), e, driver.Offered, 0)
	}
	s.expectLevel("in the end", "a", 0, rounds, 0)
	s.audit()
}

// A buyer who is decided in the same batch as a release, and before it, gets nothing that somebody waits for; who leaves in
// that batch gets nothing either.
func batchHandsOverFirst(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 1, 0, 1})
	x := s.mustWin("x", "k", item("a", 1))
	u, v := s.mustJoin("u", "a", 1, 1), s.mustJoin("v", "a", 1, 2)
	reached, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // decisions run one at a time, so calls gather behind this one
		s.peek(&driver.Reads{}, func(*driver.State) {
			close(reached)
			<-goOn
		})
	})
	<-reached
	calls := []func(){
		func() { s.buy("first", "k", item("a", 1)) }, // a batch of its own
		func() {
			if a := s.buy("p", "k", item("a", 1)); a.Reason != errs.StockHeld {
				t.Errorf("a passer-by is told %+v", a)
			}
		},
		func() { s.mustMove(s.p.Release(t.Context(), x.ID, driver.Held, stock.WhyCancelled, "")) },
		func() {
			if e, err := s.p.Leave(t.Context(), "s", "u", u); err != nil || e.State != driver.Left {
				t.Errorf("leave: %+v, %v", e, err)
			}
		},
	}
	for i, call := range calls {
		wg.Go(call)
		for limit := time.Now().Add(patience); s.p.InFlight() < int64(i)+1; time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Error("a call does not wait for its decision")
				break
			}
		}
	}
	close(goOn)
	wg.Wait()
	s.expectEntry("after the batch", "u", u, driver.Left, 0)
	s.expectEntry("after the batch", "v", v, driver.Offered, 0)
	s.audit()
}

// Who wants more than is free keeps his place while others behind him are served, and gets his units when they are there.
func bigWishKeepsItsPlace(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 4, 0, 1})
	var held []*driver.Attempt
	for i := range 4 {
		held = append(held, s.mustWin(fmt.Sprint("w", i), "k", item("a", 1)))
	}
	big := s.mustJoin("big", "a", 2, 1)
	small := s.mustJoin("small", "a", 1, 2)
	s.mustRelease(held[0].ID, driver.Held, stock.WhyCancelled)
	s.expectEntry("one is back", "big", big, driver.Waiting, 1)
	s.expectEntry("one is back", "small", small, driver.Offered, 0)
	s.mustRelease(held[1].ID, driver.Held, stock.WhyCancelled)
	s.expectLevel("one is back that nobody who waits can take", "a", 1, 3, 0)
	s.mustWin("public", "k", item("a", 1))
	s.mustRelease(held[2].ID, driver.Held, stock.WhyCancelled)
	s.mustOffer("a", 1)
	if c := s.expectEntry("two are back", "big", big, driver.Offered, 0); c.Lines[0].Quantity != 2 {
		t.Errorf("the offer is %+v, want two units", c)
	}
	s.audit()
}

// An entry whose user has used up his allowance when its turn comes is passed over for good, and says why.
func overLimitIsSkipped(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 2, 2, 1})
	x := s.mustWin("x", "k", item("a", 1))
	s.mustWin("u", "k", item("a", 1))
	u, v := s.mustJoin("u", "a", 2, 1), s.mustJoin("v", "a", 1, 2)
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	s.expectEntry("two do not fit into one", "u", u, driver.Waiting, 1)
	s.expectEntry("one does", "v", v, driver.Offered, 0)
	s.mustOffer("a", 2)
	s.expectEntry("over the limit", "u", u, driver.Skipped, 0)
	if e, _ := s.p.Waiting(t.Context(), "s", "u", u); e.Why != stock.WhySkipped {
		t.Errorf("the skipped entry says %q", e.Why)
	}
	s.expectLevel("nobody else waits", "a", 2, 2, 0)
	s.audit()
}

// Who leaves loses his place: the next is served, leaving twice is one, and nobody leaves for another or after an offer.
func leaversGetNothing(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 1, 0, 1})
	x := s.mustWin("x", "k", item("a", 1))
	u, v := s.mustJoin("u", "a", 1, 1), s.mustJoin("v", "a", 1, 2)
	for _, who := range []string{"v", "", "U"} {
		if _, err := s.p.Leave(t.Context(), "s", who, u); !errs.Is(err, errs.NotFound) {
			t.Errorf("%q leaves u's entry: %v", who, err)
		}
	}
	for range 2 {
		if e, err := s.p.Leave(t.Context(), "s", "u", u); err != nil || e.State != driver.Left {
			t.Fatalf("leave: %+v, %v", e, err)
		}
	}
	s.expectEntry("after one has left", "v", v, driver.Waiting, 1)
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	s.expectEntry("after one has left", "u", u, driver.Left, 0)
	s.expectEntry("after one has left", "v", v, driver.Offered, 0)
	if _, err := s.p.Leave(t.Context(), "s", "v", v); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("leaving after an offer: %v", err)
	}
	if e, err := s.join("u", "again", "a", 1); err != nil || e.Position != 1 {
		t.Errorf("joining again: %+v, %v", e, err)
	}
	s.audit()
}

// Each reason not to let somebody wait has its own name, and none of them changes anything.
func joiningFollowsRules(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 1, 2, 1}, goods{"b", 3, 0, 1})
	expect := func(when, sku string, n int64, want errs.Code) {
		t.Helper()
		if e, err := s.join("u", "k-"+when, sku, n); errs.CodeOf(err) != want {
			t.Errorf("%s: %+v, %v, want %q", when, e, err, want)
		}
	}
	s.mustWin("x", "k", item("a", 1))
	expect("no list", "a", 1, errs.NoWaitingList)
	s.update(func(x *driver.Sale) { x.WaitingList = true })
	expect("unknown sku", "zz", 1, errs.Invalid)
	expect("nothing wanted", "a", 0, errs.Invalid)
	expect("more than the limit", "a", 3, errs.LimitReached)
	expect("free", "b", 3, errs.StockAvailable)
	expect("more than free", "b", 4, "")
	s.update(func(x *driver.Sale) { x.Paused = true })
	expect("paused", "a", 1, errs.SalePaused)
	s.update(func(x *driver.Sale) { x.Paused, x.SoldOut = false, true })
	expect("sold out by an operator", "a", 1, "")
	expect("twice", "a", 2, errs.AlreadyWaiting)
	s.clk.advance(time.Hour)
	expect("closed", "b", 1, errs.SaleClosed)
	if row := s.levels("s"); row["a"].Waiting != 1 || row["b"].Waiting != 1 {
		t.Errorf("the rows are %+v, want one waiting each", row)
	}
	s.audit()
}

// The same key gets the same entry whatever became of it, also from many calls at once, and for another wish none.
func joinIsKnownByKey(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 1, 0, 1}, goods{"b", 0, 0, 1})
	x := s.mustWin("u", "k", item("a", 1))
	seen := make([]stock.Entry, 12)
	var wg sync.WaitGroup
	for i := range seen {
		wg.Go(func() {
			e, err := s.join("u", "k", "a", 1) // the key of an attempt is another key
			if err != nil {
				t.Errorf("join: %v", err)
			}
			seen[i] = e
		})
	}
	wg.Wait()
	for _, e := range seen {
		if e.Seq != seen[0].Seq || e.Seq == 0 {
			t.Fatalf("one key has the entries %d and %d", seen[0].Seq, e.Seq)
		}
	}
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	s.clk.advance(2 * time.Hour)
	if e, err := s.join("u", "k", "a", 1); err != nil || !e.Replayed || e.Seq != seen[0].Seq || e.State != driver.Offered {
		t.Errorf("the key again, after an offer and the end: %+v, %v", e, err)
	}
	for _, other := range []stock.JoinRequest{{SKU: "b", Quantity: 1}, {SKU: "a", Quantity: 2}} {
		if _, err := s.join("u", "k", other.SKU, other.Quantity); !errs.Is(err, errs.KeyReused) {
			t.Errorf("the key for %+v: %v", other, err)
		}
	}
	s.audit()
}

// What comes back while a sale is paused or forced to be sold out is handed over when it goes on, and never after its end.
func resumedSaleHandsOver(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 3, 0, 1})
	x, y, z := s.mustWin("x", "k", item("a", 1)), s.mustWin("y", "k", item("a", 1)), s.mustWin("z", "k", item("a", 1))
	u, v, w := s.mustJoin("u", "a", 1, 1), s.mustJoin("v", "a", 1, 2), s.mustJoin("w", "a", 1, 3)
	s.update(func(x *driver.Sale) { x.Paused = true })
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	s.expectEntry("while it is paused", "u", u, driver.Waiting, 1)
	s.update(func(x *driver.Sale) { x.Paused = false })
	s.expectEntry("when it goes on", "u", u, driver.Offered, 0)
	s.update(func(x *driver.Sale) { x.SoldOut = true })
	s.mustRelease(y.ID, driver.Held, stock.WhyCancelled)
	s.expectEntry("while it is forced to be sold out", "v", v, driver.Waiting, 1)
	s.update(func(x *driver.Sale) { x.SoldOut = false })
	s.expectEntry("when that ends", "v", v, driver.Offered, 0)
	s.clk.advance(2 * time.Hour)
	s.mustRelease(z.ID, driver.Held, stock.WhyExpired)
	s.expectEntry("after the end", "w", w, driver.Waiting, 1)
	s.expectLevel("after the end", "a", 1, 2, 0)
	s.audit()
}

// A buyer who uses the key that his neighbour's or his own hand-over will have is refused, so that he is not in its way; who
// was handed units gets them as the answer to that key.
func nobodyTakesItsKey(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 1, 0, 1}, goods{"b", 5, 0, 1})
	x := s.mustWin("x", "k", item("a", 1))
	u := s.mustJoin("u", "a", 1, 1)
	key := "wait:" + strconv.FormatUint(u, 10)
	if a := s.buy("u", key, item("b", 1)); a.State != stock.Lost || a.Reason != errs.Invalid || a.Attempt != nil {
		t.Errorf("an attempt under a hand-over's key: %+v", a)
	}
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	c := s.expectEntry("after the release", "u", u, driver.Offered, 0)
	if a := s.buy("u", key, item("a", 1)); a.State != stock.Won || !a.Replayed || a.Attempt.ID != c.ID {
		t.Errorf("the hand-over's key: %+v, want order %v", a, c.ID)
	}
	s.audit()
}

// However long a list is, one act serves all whom its units serve.
func longListIsServed(t testing.TB, h Harness) {
	s := newShop(t, h)
	const n = 300
	s.openList(goods{"a", 0, 2, 1})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := s.join(fmt.Sprint("u", i), "k", "a", int64(i%2)+1); err != nil {
				t.Errorf("join %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	s.mustOffer("a", n/2*3-1)
	row := s.levels("s")["a"]
	if row.Waiting != 1 || row.Available > 1 || row.Held != n/2*3-1-row.Available {
		t.Errorf("the row is %+v, want one waiting", row)
	}
	s.mustOffer("a", 3)
	s.expectLevel("when there is more than enough", "a", 2, n/2*3, 0)
	s.audit()
}

// A release whose reply is lost has handed its unit over once or not at all, and settling it does so once.
func lostReplyHandsOverOnce(t testing.TB, h Harness) {
	for _, point := range h.FaultCommits {
		s := newShop(t, h)
		s.openList(goods{"a", 1, 0, 1})
		x := s.mustWin("x", "k", item("a", 1))
		u, v := s.mustJoin("u", "a", 1, 1), s.mustJoin("v", "a", 1, 2)
		s.failOnce(point)
		s.mustMove(s.p.Release(t.Context(), x.ID, driver.Held, stock.WhyCancelled, ""))
		s.expectEntry(point, "u", u, driver.Offered, 0)
		s.expectEntry(point, "v", v, driver.Waiting, 1)
		s.failOnce(point)
		if e, err := s.join("w", "k", "a", 1); err != nil || e.Position != 2 {
			t.Errorf("%s: join: %+v, %v", point, e, err)
		}
		s.expectLevel(point, "a", 0, 1, 0)
		s.audit()
		s.shut()
	}
}

// Lists, places, keys and what became of entries are the same after a restart, and after a crash.
func listsSurvive(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.openList(goods{"a", 2, 2, 1}, goods{"b", 0, 0, 1})
	x := s.mustWin("x", "k", item("a", 1))
	s.mustWin("y", "k", item("a", 1))
	s.mustJoin("u", "a", 1, 1)
	left := s.mustJoin("v", "a", 1, 2)
	w := s.mustJoin("w", "a", 1, 3)
	s.mustJoin("w", "b", 1, 1)
	if _, err := s.p.Leave(t.Context(), "s", "v", left); err != nil {
		t.Fatal(err)
	}
	s.mustRelease(x.ID, driver.Held, stock.WhyCancelled)
	before := s.dump()
	s.restart()
	same(t, "after a restart", s.dump(), before)
	if h.Crash != nil {
		s.crash()
		same(t, "after a crash", s.dump(), before)
	}
	s.expectEntry("afterwards", "w", w, driver.Waiting, 1)
	if e, err := s.join("w", "j-a", "a", 1); err != nil || !e.Replayed || e.Seq != w {
		t.Errorf("the key of an entry after a restart: %+v, %v", e, err)
	}
	s.mustOffer("a", 1)
	s.expectEntry("afterwards", "w", w, driver.Offered, 0)
	s.audit()
}

// A crowd attempts, waits, leaves, pays, cancels and is refunded; in the end nobody waits for what is free, and the journal
// shows that the list was served in its order and nothing was sold past it.
func crowdWaits(t testing.TB, h Harness) {
	s := newShop(t, h)
	const units, buyers = 20, 90
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s.openList(goods{"a", units, 2, 1})
	var wg sync.WaitGroup
	for i := range buyers {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() { s.oneOfTheCrowd(fmt.Sprint("u", i), rnd) })
	}
	wg.Wait()
	for _, id := range s.due(far, 1<<20) { // who was offered late pays now
		s.mustMove(s.p.Sell(t.Context(), id, "", ""))
	}
	row := s.levels("s")["a"]
	if least := s.smallestWish(); row.Held != 0 || least > 0 && row.Available >= least || least == 0 && row.Waiting > 0 {
		t.Errorf("in the end the row is %+v", row)
	}
	s.audit()
}

func (s *shop) smallestWish() (least int64) {
	for _, e := range s.journal() {
		if e.Kind == driver.Wait && e.Waiter.State == driver.Waiting && (least == 0 || e.Waiter.Quantity < least) {
			least = e.Waiter.Quantity
		}
	}
	return least
}

func (s *shop) oneOfTheCrowd(user string, rnd *rand.Rand) {
	n := int64(rnd.IntN(2)) + 1
	if a := s.settled(user, "k", item("a", n)); a.State == stock.Won {
		s.payOrCancel(a.Attempt.ID, rnd)
		return
	}
	e, err := s.join(user, "j", "a", n)
	if err != nil {
		if !errs.Is(err, errs.StockAvailable) {
			s.Errorf("%s waits for %d: %v", user, n, err)
		}
		return
	}
	if rnd.IntN(6) == 0 {
		if _, err := s.p.Leave(s.Context(), "s", user, e.Seq); err != nil && !errs.Is(err, errs.IllegalTransition) {
			s.Errorf("%s leaves: %v", user, err)
		}
	}
	if e, err = s.p.Waiting(s.Context(), "s", user, e.Seq); err == nil && e.State == driver.Offered {
		s.payOrCancel(e.Order, rnd)
	}
}

func (s *shop) payOrCancel(id stock.ID, rnd *rand.Rand) {
	switch rnd.IntN(3) {
	case 0:
		s.mustMove(s.p.Release(s.Context(), id, driver.Held, stock.WhyCancelled, ""))
	case 1:
		s.mustMove(s.p.Sell(s.Context(), id, "", ""))
		s.mustMove(s.p.Release(s.Context(), id, driver.Sold, stock.WhyRefunded, ""))
	default:
		s.mustMove(s.p.Sell(s.Context(), id, "", ""))
	}
}
