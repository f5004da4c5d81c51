package payment_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock"
	"penstock/stock/driver"
)

// lateMoney begins a payment, lets the order expire and then has the provider report the money.
func (w *world) lateMoney(user string) (ident.ID, payment.Payment) {
	w.t.Helper()
	w.muted.Store(true)
	id := w.shop.sell(user)
	p := w.begin(id, user, sandbox.Capture)
	w.shop.expire(id)
	if err := w.report(p, sandbox.EventCaptured, "sbx_"+strconv.FormatInt(int64(p.ID), 36), "m-"+user, price); err != nil {
		w.t.Fatal(err)
	}
	return id, w.payment(p)
}

func (w *world) lateOf(outcome string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late[outcome]
}

// Late money becomes what the setting says: units claimed again while there are some, a refund, or a case; each is counted once
// and listed.
func testLateMoneyIsASetting(t *testing.T, on engine) {
	t.Parallel()
	for way, want := range map[payment.LateMoney]struct {
		free             int
		first, second    string
		state1, state2   order.State
		open, paid, back int
	}{
		payment.LateReclaim: {1, payment.LateReclaimed, payment.LateRefunded, order.Paid, order.Expired, 0, 1, 1},
		payment.LateRefund:  {1, payment.LateRefunded, payment.LateRefunded, order.Expired, order.Expired, 0, 0, 2},
		payment.LateCase:    {1, payment.LateRaised, payment.LateRaised, order.Expired, order.Expired, 2, 0, 0},
	} {
		w := setupWay(t, on, way)
		w.shop.free = want.free
		one, _ := w.lateMoney("a")
		two, _ := w.lateMoney("b")
		w.until("nothing is unfinished", func() bool { n, err := w.pay.Load().InFlight(t.Context()); return err == nil && n == 0 })
		if a, b := w.order(one).State, w.order(two).State; a != want.state1 || b != want.state2 {
			t.Errorf("%s: the orders are %s and %s", way, a, b)
		}
		if w.lateOf(want.first) == 0 || w.lateOf(want.second) == 0 || w.late[payment.LateReclaimed] != want.paid || w.late[payment.LateRefunded] != want.back {
			t.Errorf("%s: late money became %v", way, w.late)
		}
		all, err := w.pay.Load().ListCases(t.Context(), payment.CaseQuery{Kind: payment.CaseLate, All: true, Limit: 9})
		open, err2 := w.pay.Load().ListCases(t.Context(), payment.CaseQuery{Limit: 9})
		if errors.Join(err, err2) != nil || len(all) != 2 || len(open) != want.open || w.raisedOf(payment.CaseLate) != 2 {
			t.Errorf("%s: %d listed, %d open, %d raised: %v", way, len(all), len(open), w.raisedOf(payment.CaseLate), all)
		}
	}
}

func setupWay(t *testing.T, on engine, way payment.LateMoney) *world {
	w := setup(t, on, nil)
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	w.way = way
	w.open(nil)
	return w
}

// An order that its buyer cancelled is not claimed again for: the money goes back.
func testLateMoneyThatMayNotClaim(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.shop.free = 5
	w.muted.Store(true)
	id := w.shop.sell("c")
	p := w.begin(id, "c", sandbox.Capture)
	if res, err := w.shop.Release(t.Context(), id, driver.Held, stock.WhyCancelled, ""); err != nil || !res.Moved {
		t.Fatal(res, err)
	}
	w.muted.Store(false)
	w.settled()
	if w.shop.free != 5 || w.payment(p).State != payment.Refunded || w.money() != 0 {
		t.Errorf("%d units free, the payment is %s, the provider kept %d", w.shop.free, w.payment(p).State, w.money())
	}
}

// Wherever a crash falls while late money claims again, the order is paid once by one claim, or the money is back.
func testCrashWhileLateMoneyClaims(t *testing.T, on engine) {
	t.Parallel()
	for _, point := range []string{payment.PointReclaimed, payment.PointChosen, payment.PointResold} {
		f, _ := crashAt(point)
		w := setup(t, on, f)
		w.shop.free = 1
		id := w.shop.sell("u")
		w.muted.Store(true)
		p := w.begin(id, "u", sandbox.Capture)
		w.shop.expire(id)
		if err := w.report(p, sandbox.EventCaptured, "sbx_u", "m", price); err != nil {
			t.Fatal(err)
		}
		w.restart()
		w.until("the payment is finished", func() bool { n, err := w.pay.Load().InFlight(t.Context()); return err == nil && n == 0 })
		claims := 0
		for _, c := range w.shop.claims {
			if c.State == driver.Sold {
				claims++
			}
		}
		if got := w.payment(p); got.State != payment.Captured || w.order(id).State != order.Paid || claims != 1 || w.shop.free != 0 {
			t.Errorf("%s: payment %s, order %s, %d claims sold", point, got.State, w.order(id).State, claims)
		}
	}
}

// An operator resolves late money: what can be claimed is claimed, what cannot stays a case, and what goes back goes back once.
func testLateCaseIsResolved(t *testing.T, on engine) {
	t.Parallel()
	w := setupWay(t, on, payment.LateCase)
	pay := w.pay.Load()
	one, _ := w.lateMoney("a")
	two, second := w.lateMoney("b")
	cases := w.openCases(2)
	resolve := func(i int, action string) error {
		_, err := pay.Resolve(t.Context(), payment.Resolution{Seq: cases[i].Seq, Action: action, Who: "op", Reason: "agreed"})
		return err
	}
	if err := resolve(0, payment.ActRetry); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("claiming what is not there: %v", err)
	}
	w.openCases(2)
	w.shop.mu.Lock()
	w.shop.free = 1
	w.shop.mu.Unlock()
	if err := resolve(0, payment.ActRetry); err != nil || w.order(one).State != order.Paid {
		t.Errorf("claiming what is there: %v, the order is %s", err, w.order(one).State)
	}
	for range 2 {
		if err := resolve(1, payment.ActRefund); err != nil {
			t.Error(err)
		}
	}
	if err := resolve(1, payment.ActAccept); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("accepting what was refunded: %v", err)
	}
	w.openCases(0)
	if w.lateOf(payment.LateReclaimed) != 1 || w.lateOf(payment.LateRefunded) != 1 {
		t.Errorf("what became of it is counted as %v", w.late)
	}
	if p := w.payment(second); p.State != payment.Refunded || p.Refunded != price || w.order(two).State != order.Expired {
		t.Errorf("the refunded payment is %+v, its order %s", p, w.order(two).State)
	}
}

func (w *world) openCases(n int) []payment.Case {
	w.t.Helper()
	all, err := w.pay.Load().ListCases(w.t.Context(), payment.CaseQuery{Limit: 9})
	if err != nil || len(all) != n {
		w.t.Fatalf("%d cases are open, not %d: %+v, %v", len(all), n, all, err)
	}
	return all
}

// A capture of another amount waits for an operator, who gives back what was taken, or accepts it; the case then is closed with
// who and why.
func testMismatchIsResolved(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	p := w.begin(w.shop.sell("a"), "a", sandbox.WrongAmount)
	w.settled()
	c := w.openCases(1)[0]
	v, err := w.pay.Load().CaseBySeq(t.Context(), c.Seq)
	if err != nil || v.Pay.ID != p.ID || v.Amount != price+1 || len(v.Actions()) != 2 || !strings.HasPrefix(v.Said, "taken") || v.Order.State != order.PendingPayment {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := w.pay.Load().Resolve(t.Context(), payment.Resolution{Seq: c.Seq, Action: payment.ActRetry, Who: "op", Reason: "x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an act that is not legal: %v", err)
	}
	done, err := w.pay.Load().Resolve(t.Context(), payment.Resolution{Seq: c.Seq, Action: payment.ActRefund, Who: "op", Reason: "wrong sum"})
	if err != nil || done.Open() || done.Who != "op" || done.Reason != "wrong sum" || w.payment(p).State != payment.Refunded || w.money() != 0 {
		t.Errorf("%+v, %v; the payment is %s, the provider kept %d", done, err, w.payment(p).State, w.money())
	}
}

// A provider that says nothing for hours is asked on; after the time that was set an operator is told, once, and nothing is paid
// or failed meanwhile. When it speaks at last the case closes.
func testSilenceIsACase(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	w.cutAll()
	id := w.shop.sell("a")
	p := w.begin(id, "a", sandbox.Capture)
	w.shop.expire(id)
	w.step = 5 * time.Minute
	w.until("a case is raised", func() bool { return w.raisedOf(payment.CaseSilent) > 0 })
	if got := w.payment(p); got.State != payment.Pending || w.order(id).State != order.Expired {
		t.Errorf("the payment is %s, the order %s", got.State, w.order(id).State)
	}
	if n, err := w.pay.Load().InFlight(t.Context()); err != nil || n != 0 {
		t.Errorf("%d in flight, %v: a case waits for a person", n, err)
	}
	c := w.openCases(1)[0]
	w.uncut()
	if _, err := w.pay.Load().Resolve(t.Context(), payment.Resolution{Seq: c.Seq, Action: payment.ActRetry, Who: "op", Reason: "ask"}); err != nil {
		t.Error(err)
	}
	w.until("the provider was heard", func() bool { return w.payment(p).State != payment.Pending })
	w.openCases(0)
	if w.raisedOf(payment.CaseSilent) != 1 {
		t.Errorf("%d cases", w.raisedOf(payment.CaseSilent))
	}
}

// cutAll loses every request to the provider until uncut.
func (w *world) cutAll() { w.line.set(func(*http.Request) (before, after bool) { return true, false }) }

func (w *world) uncut() { w.line.set(func(*http.Request) (before, after bool) { return false, false }) }

// Two processes that decide about the same late money at the same moment, one of them told that there is nothing left and the other not, decide the same: the order is paid
// by one sold claim, or the money is back and nothing is held for it.
func testLateMoneyIsDecidedOnce(t *testing.T, on engine) {
	t.Parallel()
	w, pays := two(t, on)
	w.shop.dumb = true
	const n = 20
	var late []payment.Payment
	for i := range n {
		_, p := w.lateMoney("u" + strconv.Itoa(i))
		late = append(late, p)
	}
	w.shop.mu.Lock()
	w.shop.dumb, w.shop.free, w.shop.refuse = false, n, map[string]bool{}
	w.shop.mu.Unlock()
	each(2*n, func(i int) {
		if err := pays[i%2].Nudge(t.Context(), late[i/2].ID); err != nil {
			t.Log(err) // it is taken up again
		}
	})
	w.until("the payments are finished", func() bool { c, err := pays[0].InFlight(t.Context()); return err == nil && c == 0 })
	paid, back := 0, 0
	for _, p := range late {
		p = w.payment(p)
		switch o := w.order(p.Order); {
		case p.State == payment.Captured && o.State == order.Paid:
			paid++
		case p.State == payment.Refunded && o.State == order.Expired:
			back++
		default:
			t.Errorf("payment %s is %s, its order %s", p.ID, p.State, o.State)
		}
	}
	sold := 0
	for id, c := range w.shop.claims {
		if c.State == driver.Held {
			t.Errorf("claim %s is held for nobody", id)
		}
		if c.State == driver.Sold {
			sold++
		}
	}
	if paid+back != n || sold != paid {
		t.Errorf("%d paid, %d refunded, %d claims sold", paid, back, sold)
	}
	t.Logf("%d paid, %d refunded", paid, back)
}
