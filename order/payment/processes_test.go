package payment_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/internal/faultproxy"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock/driver"
)

// processes is what must be true when several processes work on the same payments.
var processes = map[string]func(*testing.T, engine){
	"one key is one payment":            testOneKeyInTwoProcesses,
	"reports in any order":              testReportsToTwoProcesses,
	"pay versus expire":                 testPayVersusExpireInTwoProcesses,
	"refunds never exceed the capture":  testRefundsInTwoProcesses,
	"same transaction for two orders":   testOneTransactionForTwoOrders,
	"the rest of a crash is taken over": testCrashIsTakenOver,
	"due work is done by one":           testDueWorkIsDoneByOne,
	"a late answer settles nothing":     testLateAnswer,
	"a start takes nothing away":        testStartTakesNothingAway,
	"late money is decided once":        testLateMoneyIsDecidedOnce,
	"overlapping node numbers":          testOverlappingNodes,
	"a node number may change":          testNodeChanges,
}

// two is a world with two processes, whose payments have node numbers 0 and 1. Callbacks go to both in turn.
func two(t *testing.T, on engine) (*world, [2]*payment.Payments) {
	t.Helper()
	w := setup(t, on, nil)
	other := w.process(1, nil)
	t.Cleanup(func() {
		if err := other.Stop(); err != nil {
			t.Errorf("stop the other process: %v", err)
		}
	})
	w.also.Store(other)
	return w, [2]*payment.Payments{w.pay.Load(), other}
}

// balanced compares the export with the provider's books and the orders: what was captured and not refunded is what the
// provider keeps, no transaction occurs twice, no order has two payments that pay for it, and each is told of its refunds once.
func (w *world) balanced() {
	w.t.Helper()
	kept, payers, refs := int64(0), map[string]int64{}, map[string]bool{}
	for line := range strings.Lines(w.export()) {
		var p struct {
			Order, ProviderRef, State  string
			Amount, Captured, Refunded int64
			Late                       bool
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			w.t.Fatal(err)
		}
		kept += p.Captured - p.Refunded
		if p.ProviderRef != "" && refs[p.ProviderRef] {
			w.t.Errorf("transaction %s occurs twice", p.ProviderRef)
		}
		refs[p.ProviderRef] = true
		if p.Refunded > p.Captured || p.Captured != 0 && p.Captured != p.Amount && p.State != "mismatch" && p.Refunded != p.Captured {
			w.t.Errorf("payment %s", line)
		}
		if _, twice := payers[p.Order]; p.State == "captured" && twice {
			w.t.Errorf("order %s is paid twice", p.Order)
		}
		if p.State == "captured" {
			payers[p.Order] = p.Refunded
		}
	}
	if kept != w.money() {
		w.t.Errorf("the payments keep %d, the provider %d\n%s", kept, w.money(), w.export())
	}
	w.shop.mu.Lock()
	defer w.shop.mu.Unlock()
	for id, o := range w.shop.orders {
		refunded, paid := payers[id.String()]
		if paid && (o.State != order.Paid && o.State != order.Refunded || o.Refunded != refunded) {
			w.t.Errorf("order %s is %s and was told of %d, its payment of %d", id, o.State, o.Refunded, refunded)
		}
		if o.State == order.Paid && !paid {
			w.t.Errorf("order %s is paid by nothing", id)
		}
	}
}

// A key makes one payment, whichever process is asked how often, and another key while it is live makes none.
func testOneKeyInTwoProcesses(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	var orders []ident.ID
	for i := range 10 {
		orders = append(orders, w.shop.sell(fmt.Sprint("u", i)))
	}
	var fresh, refused atomic.Int64
	each(len(orders)*8, func(i int) {
		id := orders[i%len(orders)]
		b := payment.Begin{Order: id, User: w.order(id).User, Key: fmt.Sprint("k", i/len(orders)%4), Method: "sandbox", Outcome: sandbox.Lose}
		_, replayed, err := pay[i/len(orders)%2].Begin(t.Context(), b)
		switch {
		case errs.Is(err, errs.PaymentInProgress):
			refused.Add(1)
		case err != nil:
			t.Error(err)
		case !replayed:
			fresh.Add(1)
		}
	})
	for _, id := range orders {
		if all, err := pay[0].ByOrder(t.Context(), id); err != nil || len(all) != 1 {
			t.Errorf("order %s has %d payments (%v)", id, len(all), err)
		}
	}
	if fresh.Load() != int64(len(orders)) || refused.Load() == 0 {
		t.Errorf("%d calls were the first for %d orders, %d refused", fresh.Load(), len(orders), refused.Load())
	}
	w.settled()
	w.balanced()
}

// Reports that come many times, in any order and to either process, capture once and pay once.
func testReportsToTwoProcesses(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	const orders = 12
	pays, refs := make([]payment.Payment, orders), make([]string, orders)
	for i := range pays {
		user := fmt.Sprint("u", i)
		pays[i] = w.begin(w.shop.sell(user), user, sandbox.Lose)
		refs[i] = w.ref(pays[i])
	}
	kinds := []string{sandbox.EventFailed, sandbox.EventCaptured, sandbox.EventPending, sandbox.EventCaptured, sandbox.EventFailed}
	each(orders*len(kinds)*4, func(i int) {
		p, kind := pays[i%orders], kinds[i/orders%len(kinds)]
		h, body := w.message(p.ID, kind, refs[i%orders], fmt.Sprintf("msg_%s_%s_%d", p.ID, kind[8:], i%3), price)
		if err := pay[i/orders%2].Callback(t.Context(), "sandbox", h, body); err != nil {
			t.Error(err)
		}
	})
	w.succeeded(orders)
	for _, p := range pays {
		if got := w.payment(p); got.State != payment.Captured || w.order(p.Order).State != order.Paid {
			t.Errorf("payment %s, order %s", got.State, w.order(p.Order).State)
		}
	}
	w.settled()
	w.balanced()
}

// succeeded waits until so many payments succeeded: no more, however many processes heard of it.
func (w *world) succeeded(good int) {
	w.t.Helper()
	w.until(fmt.Sprint(good, " successes"), func() bool { return w.endedOf(true) == good })
}

// Pay races expire, and the pay is reported to both processes at once: the claim has one winner and money is kept for exactly
// the paid orders.
func testPayVersusExpireInTwoProcesses(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	const orders = 60
	pays := make([]payment.Payment, orders)
	each(orders, func(i int) {
		user := fmt.Sprint("u", i)
		pays[i] = w.begin(w.shop.sell(user), user, sandbox.Lose)
	})
	each(orders, func(i int) {
		var all sync.WaitGroup
		all.Go(func() { w.shop.expireAround(pays[i].Order, i%2 == 0) })
		for n, p := range pay {
			all.Go(func() {
				h, body := w.message(pays[i].ID, sandbox.EventCaptured, w.ref(pays[i]), fmt.Sprintf("msg_%s_%d", pays[i].ID, n), price)
				if err := p.Callback(t.Context(), "sandbox", h, body); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	w.settled()
	paid := 0
	for _, p := range pays {
		claim, _ := w.shop.Claim(t.Context(), p.Order)
		got, o := w.payment(p), w.order(p.Order)
		switch {
		case claim.State == driver.Sold && got.State == payment.Captured && o.State == order.Paid && !got.Late:
			paid++
		case claim.State == driver.Released && got.State == payment.Refunded && o.State == order.Expired && got.Late:
		default:
			t.Errorf("claim %s, payment %s (late %v), order %s", claim.State, got.State, got.Late, o.State)
		}
	}
	t.Logf("%d of %d paid", paid, orders)
	w.counted(paid, orders-paid)
	if w.raisedOf(payment.CaseLate) != orders-paid {
		t.Errorf("%d were late, %d counted", orders-paid, w.raisedOf(payment.CaseLate))
	}
	w.balanced()
}

// ref is the transaction id that the sandbox gives a payment.
func (w *world) ref(p payment.Payment) string {
	res, err := w.client.Query(w.t.Context(), p.ID)
	if err != nil {
		w.t.Error(err)
	}
	return res.Ref
}

// Refunds of one order by two processes never give back more than was captured, and the order is told of each once.
func testRefundsInTwoProcesses(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	const orders = 4
	var pays []payment.Payment
	for i := range orders {
		user := fmt.Sprint("u", i)
		pays = append(pays, w.begin(w.shop.sell(user), user, sandbox.Capture))
	}
	w.settled()
	each(orders*32, func(i int) {
		r := payment.Refund{Order: pays[i%orders].Order, Key: fmt.Sprint("r", i/orders/2), Amount: 150}
		if _, _, err := pay[i/orders%2].Refund(t.Context(), r); err != nil && !errs.Is(err, errs.RefundTooLarge) && !errs.Is(err, errs.Unknown) {
			t.Error(err)
		}
	})
	w.settled()
	const most = price / 150 * 150
	for _, p := range pays {
		if got, o := w.payment(p), w.order(p.Order); got.Refunded != most || o.Refunded != most {
			t.Errorf("payment says %d, order %d; want %d", got.Refunded, o.Refunded, most)
		}
	}
	if w.raisedOf(payment.CaseRefundBooks) != 0 {
		t.Errorf("%d orders were told wrongly", w.raisedOf(payment.CaseRefundBooks))
	}
	w.balanced()
}

// A transaction id that two processes hear of for two orders at the same moment pays one of them; the other is a case.
func testOneTransactionForTwoOrders(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	const rounds = 10
	var captured, cases int
	for i := range rounds {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		pays := []payment.Payment{w.begin(w.shop.sell(a), a, sandbox.Lose), w.begin(w.shop.sell(b), b, sandbox.Lose)}
		each(2, func(n int) {
			h, body := w.message(pays[n].ID, sandbox.EventCaptured, fmt.Sprint("same_", i), "msg_"+pays[n].ID.String(), price)
			if err := pay[n].Callback(t.Context(), "sandbox", h, body); err != nil {
				t.Error(err)
			}
		})
		for _, p := range pays {
			switch w.payment(p).State {
			case payment.Captured:
				captured++
			case payment.Mismatch:
				cases++
			}
		}
	}
	if captured != rounds || cases != rounds || w.raisedOf(payment.CaseReference) != rounds {
		t.Errorf("%d captured, %d cases in %d rounds", captured, cases, rounds)
	}
}

// A process that dies between booking due work and doing it leaves it to the others.
func testCrashIsTakenOver(t *testing.T, on engine) {
	t.Parallel()
	faults, hits := crashAt(payment.PointCaptured)
	w := setup(t, on, nil)
	w.muted.Store(true)
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	dying := w.process(1, faults)
	w.pay.Store(dying)
	id := w.shop.sell("u")
	w.begin(id, "u", sandbox.Capture)
	w.muted.Store(false)
	w.until("the dying process has booked the capture", func() bool { return hits.Load() > 1 })
	if err := dying.Stop(); err != nil {
		t.Fatal(err)
	}
	w.open(nil)
	w.settled()
	if w.order(id).State != order.Paid {
		t.Errorf("order %s", w.order(id).State)
	}
	w.counted(1, 0)
	w.balanced()
}

// What is due is worked on by one of the processes that look for it at the same moment.
func testDueWorkIsDoneByOne(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	var mu sync.Mutex
	asked := map[string]int{}
	w.line.set(func(r *http.Request) (before, after bool) {
		if r.Method == http.MethodGet {
			mu.Lock()
			asked[r.URL.Path]++
			mu.Unlock()
		}
		return false, false
	})
	const orders = 64
	each(orders, func(i int) {
		user := fmt.Sprint("u", i)
		w.begin(w.shop.sell(user), user, sandbox.Lose)
	})
	w.clk.Advance(3 * time.Second)
	w.step = 0 // every booking lasts
	w.succeeded(orders)
	for _, p := range pay {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for path, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	if len(asked) != orders {
		t.Errorf("%d payments were asked for, want %d", len(asked), orders)
	}
}

// A worker that waits for the provider for longer than it booked is overtaken by another process; its answer, when it comes,
// changes nothing.
func testLateAnswer(t *testing.T, on engine) {
	t.Parallel()
	w, pay := two(t, on)
	w.muted.Store(true)
	gate, waiting := make(chan struct{}), atomic.Int64{}
	w.line.set(func(r *http.Request) (before, after bool) {
		if r.Method == http.MethodGet && waiting.Add(1) == 1 {
			<-gate
		}
		return false, false
	})
	id := w.shop.sell("u")
	p := w.begin(id, "u", sandbox.Lose)
	w.until("the other process has done it", func() bool { return w.order(id).State == order.Paid && w.endedOf(true) == 1 })
	close(gate)
	w.settled()
	for _, one := range pay {
		if err := one.Stop(); err != nil { // waits for the late worker
			t.Error(err)
		}
	}
	if waiting.Load() < 2 || w.endedOf(true) != 1 {
		t.Errorf("%d asked, %d successes", waiting.Load(), w.endedOf(true))
	}
	if all, err := pay[0].ByOrder(t.Context(), id); err != nil || len(all) != 1 || all[0].ID != p.ID || all[0].State != payment.Captured {
		t.Errorf("payments %+v (%v)", all, err)
	}
}

// A process that starts leaves alone what others have booked.
func testStartTakesNothingAway(t *testing.T, on engine) {
	t.Parallel()
	faults, hits := crashAt(payment.PointCaptured)
	w := setup(t, on, faults)
	id := w.shop.sell("u")
	w.begin(id, "u", sandbox.Capture)
	w.until("the capture is booked for later", func() bool { return hits.Load() > 1 })
	theirs, looks := crashAt(payment.PointCaptured)
	var others []*payment.Payments
	for n := range 3 {
		others = append(others, w.process(n+1, theirs))
	}
	// The clock stands still, so nothing becomes due; a look of each is over when it is stopped.
	for _, p := range others {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
	if n := looks.Load(); n != 0 {
		t.Errorf("%d looks at what was booked", n)
	}
	faults.Set(payment.PointCaptured, nil)
	w.settled()
	w.counted(1, 0)
}

// Two processes that take each other's node number for a while make the same ids at the same time: each is used once.
func testOverlappingNodes(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	other := w.process(0, nil)
	defer other.Stop()
	const orders = 40
	each(orders, func(i int) {
		user := fmt.Sprint("u", i/2%10) // so two of each user's orders meet two others of his
		b := payment.Begin{Order: w.shop.sell(user), User: user, Key: "k", Method: "sandbox", Outcome: sandbox.Capture}
		if _, _, err := []*payment.Payments{w.pay.Load(), other}[i%2].Begin(t.Context(), b); err != nil {
			t.Error(err)
		}
	})
	w.muted.Store(false)
	w.settled()
	if got := strings.Count(w.export(), "\n"); got != orders {
		t.Errorf("%d payments for %d orders", got, orders)
	}
	w.balanced()
}

// A process without a node number executes nothing that needs an id; with another number it goes on with ids of that number.
func testNodeChanges(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	var node atomic.Int64
	p, err := payment.Over(t.Context(), on.open(t, w.where, nil), payment.Deps{
		Orders: w.shop, Stock: w.shop, Providers: map[string]payment.Provider{"sandbox": w.client},
	}, payment.Options{Clock: w.clk, NodeNow: func() int { return int(node.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var made []ident.ID
	for _, n := range []int64{3, -1, 7, 3} {
		node.Store(n)
		got, _, err := p.Begin(t.Context(), payment.Begin{Order: w.shop.sell("u"), User: "u", Key: "k", Method: "sandbox"})
		if n < 0 {
			if !errs.Is(err, errs.ReducedCapacity) {
				t.Errorf("without a number: %v", err)
			}
			continue
		}
		if err != nil || got.ID.Node() != int(n) || slices.Contains(made, got.ID) {
			t.Errorf("node %d made %s: %v", n, got.ID, err)
		}
		made = append(made, got.ID)
	}
	w.settled()
}

// A server that dies in the middle of captures, before, while or after it commits, delays the orders and loses nothing; nobody
// is told of a failure.
func testServerKilledDuringCaptures(t *testing.T, server *engines.Server) {
	on := onMySQL(server)
	faults := &fault.Points{}
	w := setup(t, on, faults)
	w.muted.Store(true)
	other := w.process(1, nil)
	defer other.Stop()
	w.also.Store(other)
	const orders = 24
	pays := make([]payment.Payment, orders)
	each(orders, func(i int) {
		user := fmt.Sprint("u", i)
		pays[i] = w.begin(w.shop.sell(user), user, sandbox.Lose)
	})
	var kill sync.Once
	faults.Set(groupcommit.PointCommit, func(hit int) error {
		if hit >= 5 {
			kill.Do(func() { server.Kill(t) })
		}
		return nil
	})
	var refused atomic.Int64
	each(orders, func(i int) {
		h, body := w.message(pays[i].ID, sandbox.EventCaptured, w.ref(pays[i]), "msg_"+pays[i].ID.String(), price)
		err := w.pay.Load().Callback(t.Context(), "sandbox", h, body)
		if err == nil {
			return
		}
		if refused.Add(1); !errs.Is(err, errs.Unknown) && !errs.Is(err, errs.ReducedCapacity) {
			t.Errorf("a report to a dying database: %v", err)
		}
	})
	if refused.Load() == 0 {
		t.Error("the server did not die in the middle")
	}
	if _, err := w.pay.Load().ByOrder(t.Context(), pays[0].Order); !errs.Is(err, errs.ReducedCapacity) {
		t.Errorf("a read without a database: %v", err)
	}
	if _, _, err := other.Begin(t.Context(), payment.Begin{Order: w.shop.sell("v"), User: "v", Key: "k", Method: "sandbox"}); !errs.Is(err, errs.ReducedCapacity) {
		t.Errorf("a payment without a database: %v", err)
	}
	server.Start(t)
	w.settled()
	for _, p := range pays {
		if got := w.payment(p); got.State != payment.Captured || w.order(p.Order).State != order.Paid {
			t.Errorf("payment %s, order %s", got.State, w.order(p.Order).State)
		}
	}
	w.balanced()
}

// The reply to a commit that was applied gets lost: the caller hears that the outcome is not known, and his key tells it later.
func testReplyLost(t *testing.T, server *engines.Server) {
	proxy := faultproxy.New(t, server.Addr())
	on, faults := onMySQL(server), &fault.Points{}
	direct := on.place
	on.place = func(t testing.TB) string { return strings.Replace(direct(t), server.Addr(), proxy.Addr(), 1) }
	on.open = func(t testing.TB, where string, faults *fault.Points) payment.Store {
		t.Helper()
		return openMySQL(t, where, mysql.Options{LockWait: time.Second, Reply: 1100 * time.Millisecond}, sqldb.Options{Fault: faults})
	}
	w := setup(t, on, faults)
	w.muted.Store(true)
	id := w.shop.sell("u")
	faults.Set(groupcommit.PointCommit, func(hit int) error {
		if hit == 1 {
			proxy.DropReplies()
		}
		return nil
	})
	b := payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox"}
	_, _, err := w.pay.Load().Begin(t.Context(), b)
	proxy.Pass()
	w.muted.Store(false)
	if !errs.Is(err, errs.Unknown) {
		t.Fatalf("without a reply: %v", err)
	}
	if _, replayed, err := w.pay.Load().Begin(t.Context(), b); err != nil || !replayed {
		t.Errorf("asked again: replayed=%v %v", replayed, err)
	}
	w.settled()
	if w.order(id).State != order.Paid {
		t.Errorf("order %s", w.order(id).State)
	}
	w.balanced()
}
