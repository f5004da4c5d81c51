package drivertest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// PortCases are the properties of stock.Stock over a driver.
func PortCases() []Case {
	cases := []Case{
		{"a win holds stock and promises a price", winHoldsAndPromises},
		{"a known key gets its answer whatever happened since", knownKeyReplays},
		{"the order of items does not make another body", itemOrderIsNoOtherBody},
		{"the same key of another user or sale is another key", keysHaveAScope},
		{"refusals come in the order of the rules", refusalsFollowPriority},
		{"a pass binds one key", passBindsOneKey},
		{"a cart is all or nothing", cartIsAllOrNothing},
		{"a sale is open from start to before end", saleIsOpenFromStartToEnd},
		{"released units can be bought again", releasedUnitsReturn},
		{"moves follow the claim's states", movesFollowStates},
		{"nothing is sold after its release time", nothingSoldAfterReleaseTime},
		{"pay and expire have one winner", payAndExpireHaveOneWinner},
		{"lookup tells what a key is bound to", lookupTellsBinding},
		{"sales are created once and changed by version", salesAreVersioned},
		{"an offer counts once and never takes what is held", offersCountOnce},
		{"operators leave a trail", operatorsLeaveATrail},
		{"answers survive a restart", answersSurviveRestart},
		{"a deadline is answered unknown and settles", deadlineIsUnknownAndSettles},
		{"a lost commit reply is never a failure", lostReplyIsNeverFailure},
		{"lost replies never lie to operators", lostRepliesNeverLieToOperators},
		{"a clock that steps back loses no claim", clockStepLosesNoClaim},
		{"a closed sale stays closed and keeps its answers", closedSaleStaysClosed},
		{"1 unit and 10 buyers", storm(1, 10)},
		{"2 units and 20 buyers", storm(2, 20)},
		{"1000 units and 10000 buyers", storm(1000, 10000)},
		{"1 unit and 5000 buyers", storm(1, 5000)},
		{"300 units and 300 buyers", storm(300, 300)},
		{"carts in opposite order", cartsInOppositeOrder},
		{"everything is sold when demand outlives returns", everythingIsSold},
		{"the model agrees", modelAgrees},
		{"the model agrees on waiting lists", listModelAgrees},
		{"what comes back goes to who waits first", comesBackToTheFirst},
		{"nothing is public while somebody waits", nothingIsPublic},
		{"one batch frees, hands over and then sells", batchHandsOverFirst},
		{"a wish too big keeps its place", bigWishKeepsItsPlace},
		{"an entry over the limit is skipped", overLimitIsSkipped},
		{"who leaves a list gets nothing", leaversGetNothing},
		{"joining follows the rules", joiningFollowsRules},
		{"a join is known by its key", joinIsKnownByKey},
		{"a sale that goes on hands over", resumedSaleHandsOver},
		{"no buyer is in the way of a hand-over", nobodyTakesItsKey},
		{"a list longer than a page is served to its end", longListIsServed},
		{"a lost reply hands over once", lostReplyHandsOverOnce},
		{"lists survive a restart and a crash", listsSurvive},
		{"a crowd waits and is served in order", crowdWaits},
		{"histories are linearizable", historiesAreLinearizable},
	}
	for _, r := range rules {
		cases = append(cases, Case{"rule: " + r.name, r.check})
	}
	return cases
}

// rule is one refusal: how to bring it about in a sale "s" of SKU "a" (5 units, limit 2) and "b" (5 units, no limit), and what
// the answer is.
type rule struct {
	name    string
	prepare func(s *shop)
	items   []stock.Item
	want    stock.Answer
	// binds says whether the refusal is final for its key.
	binds bool
	// sale is "s" when empty.
	sale string
}

// empty lets others take n units of b; they stay held.
func empty(n int64) func(*shop) { return func(s *shop) { s.mustWin("other", "empty", item("b", n)) } }

var rules = []rule{
	{name: "unknown sale", sale: "none", items: []stock.Item{item("a", 1)}, want: stock.Answer{Reason: errs.NotFound}},
	{name: "unknown sku", items: []stock.Item{item("a", 1), item("zz", 1)}, want: stock.Answer{Reason: errs.Invalid}},
	{
		name: "before the start", items: []stock.Item{item("a", 1)},
		prepare: func(s *shop) { s.clk.advance(-time.Millisecond) },
		want:    stock.Answer{Reason: errs.SaleNotOpen, OpensAt: start},
	},
	{
		name: "at the end", items: []stock.Item{item("a", 1)},
		prepare: func(s *shop) { s.clk.advance(time.Hour) },
		want:    stock.Answer{Reason: errs.SaleClosed},
	},
	{
		name: "closed early", items: []stock.Item{item("a", 1)},
		prepare: func(s *shop) { s.update(func(x *driver.Sale) { x.ClosedAt = start }) },
		want:    stock.Answer{Reason: errs.SaleClosed},
	},
	{
		name: "paused", items: []stock.Item{item("a", 1)},
		prepare: func(s *shop) { s.update(func(x *driver.Sale) { x.Paused = true }) },
		want:    stock.Answer{Reason: errs.SalePaused},
	},
	{
		name: "over the limit at once", items: []stock.Item{item("a", 3)}, binds: true,
		want: stock.Answer{Reason: errs.LimitReached, SKU: "a", Left: 2},
	},
	{
		name: "over what is left of the limit", items: []stock.Item{item("b", 1), item("a", 2)}, binds: true,
		prepare: func(s *shop) { s.mustWin("u", "first", item("a", 1)) },
		want:    stock.Answer{Reason: errs.LimitReached, SKU: "a", Left: 1},
	},
	{
		name: "sold units use up the limit", items: []stock.Item{item("a", 1)}, binds: true,
		prepare: func(s *shop) { s.mustSell(s.mustWin("u", "first", item("a", 2)).ID) },
		want:    stock.Answer{Reason: errs.LimitReached, SKU: "a"},
	},
	{
		name: "a quantity that overflows the limit", items: []stock.Item{item("a", math.MaxInt64)}, binds: true,
		prepare: func(s *shop) { s.mustWin("u", "first", item("a", 1)) },
		want:    stock.Answer{Reason: errs.LimitReached, SKU: "a", Left: 1},
	},
	{
		name: "a quantity that overflows the stock", items: []stock.Item{item("b", math.MaxInt64)},
		want: stock.Answer{Reason: errs.NotEnoughLeft, SKU: "b", Left: 5},
	},
	{
		name: "all held", items: []stock.Item{item("b", 1)}, prepare: empty(5),
		want: stock.Answer{Reason: errs.StockHeld, SKU: "b"},
	},
	{
		name: "some left", items: []stock.Item{item("b", 3)}, prepare: empty(3),
		want: stock.Answer{Reason: errs.NotEnoughLeft, SKU: "b", Left: 2},
	},
	{
		name: "all sold", items: []stock.Item{item("b", 1)}, binds: true,
		prepare: func(s *shop) { s.mustSell(s.mustWin("other", "k", item("b", 5)).ID) },
		want:    stock.Answer{Reason: errs.SoldOut, SKU: "b"},
	},
	{
		name: "all withdrawn", items: []stock.Item{item("b", 1)}, binds: true,
		prepare: func(s *shop) { s.mustOffer("b", -5) },
		want:    stock.Answer{Reason: errs.SoldOut, SKU: "b"},
	},
}

// check: the refusal is exactly this one, holds nothing, and binds the key exactly if it is final.
func (r rule) check(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 2, 100}, goods{"b", 5, 0, 7})
	if r.prepare != nil {
		r.prepare(s)
	}
	before := s.levels("s")
	q := stock.Request{Sale: "s", User: "u", Key: "k", Items: r.items}
	if r.sale != "" {
		q.Sale = r.sale
	}
	a := s.p.Attempt(t.Context(), q)
	r.want.State = stock.Lost
	if err := checkRetry(a); err != nil {
		t.Error(err)
	}
	got := a
	got.RetryAfter, got.Attempt = 0, nil
	if got.Reason == errs.SoldOut {
		got.SKU = r.want.SKU
	}
	same(t, "answer", got, r.want)
	if (a.Attempt != nil) != r.binds {
		t.Errorf("bound to %+v, want a binding: %v", a.Attempt, r.binds)
	}
	same(t, "stock after a refusal", s.levels("s"), before)
	found, ok, err := s.p.Lookup(t.Context(), q.Sale, q.User, q.Key)
	if err != nil || ok != r.binds {
		t.Fatalf("lookup after the refusal: %+v, %v, %v", found, ok, err)
	}
	if !r.binds {
		return
	}
	want := a
	want.Replayed = true
	if b := s.p.Attempt(t.Context(), q); !b.Replayed {
		t.Errorf("the second answer is not marked as replayed: %+v", b)
	} else {
		same(t, "the second answer", b, want)
	}
	found.Replayed = true
	same(t, "looked up", found, want)
}

// checkRetry: what may come back says when to ask again, and what is final does not.
func checkRetry(a stock.Answer) error {
	switch a.Reason {
	case errs.SaleNotOpen, errs.SalePaused:
		return nil
	case errs.StockHeld, errs.NotEnoughLeft:
		if a.RetryAfter <= 0 {
			return fmt.Errorf("%s does not say when to try again", a.Reason)
		}
	default:
		if a.RetryAfter != 0 {
			return fmt.Errorf("state %v, reason %q says to try again after %v", a.State, a.Reason, a.RetryAfter)
		}
	}
	return nil
}

// A win holds its units, promises the amount and the times of the sale's terms, and is durable when told.
func winHoldsAndPromises(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 2, 100}, goods{"b", 5, 0, 7})
	s.clk.advance(1500 * time.Millisecond)
	now := s.clk.Now()
	a := s.p.Attempt(t.Context(), stock.Request{Sale: "s", User: "u", Key: "k", Items: []stock.Item{item("a", 2), item("b", 3)}, Trace: "00-1-2-01"})
	if a.State != stock.Won || a.Attempt == nil || a.Replayed || a.Reason != "" {
		t.Fatalf("answer %+v, want a first win", a)
	}
	c := a.Attempt
	same(t, "what was won", *c, driver.Attempt{
		ID: c.ID, Seq: c.Seq, Body: c.Body, Key: driver.Key{Sale: "s", User: "u", Key: "k"}, At: now, Amount: 221, Currency: "CNY",
		Lines:     []driver.Line{{SKU: "a", Quantity: 2, Price: 100}, {SKU: "b", Quantity: 3, Price: 7}},
		PayBefore: now.Add(window), ReleaseAt: now.Add(window + grace), State: driver.Held, Trace: "00-1-2-01",
	})
	if c.ID <= 0 || c.ID.Time().Sub(now).Abs() > time.Second {
		t.Errorf("the order id %v says it was made at %v", c.ID, c.ID.Time())
	}
	s.expectLevel("after the win", "a", 3, 2, 0)
	s.expectLevel("after the win", "b", 2, 3, 0)
	claim, err := s.p.Claim(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the claim", claim, c)
	same(t, "the claim below the port", s.claim(c.ID), c)
	s.update(func(x *driver.Sale) { x.Items[0].Price, x.Window = 999, time.Second })
	same(t, "the claim after the terms changed", s.claim(c.ID), c)
	s.audit()
}

// The same key in another sale, or of another user, is another key with an answer of its own.
func keysHaveAScope(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 1, 1})
	s.open("r", goods{"a", 5, 1, 1})
	seen := map[string]bool{}
	for _, who := range []string{"u", "v", "U", "u "} {
		for _, sale := range []string{"s", "r"} {
			a := s.p.Attempt(t.Context(), stock.Request{Sale: sale, User: who, Key: "k", Items: []stock.Item{item("a", 1)}})
			if a.State != stock.Won || a.Replayed {
				t.Fatalf("%q in %q: %+v, want a first win", who, sale, a)
			}
			seen[fmt.Sprint(a.Attempt.ID)] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("8 wins have %d ids", len(seen))
	}
	s.audit()
}
