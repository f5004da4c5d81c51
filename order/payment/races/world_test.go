package races

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/check"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/ident"
	"penstock/order"
	orderdriver "penstock/order/driver"
	"penstock/order/mysqlorder"
	"penstock/order/payment"
	"penstock/order/shard"
	"penstock/order/sqliteorder"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
	"penstock/stock/sqlitestock"
)

const (
	price  = 700
	saleID = "flash"
)

// world is the three rooms on one engine, with a till for a provider.
type world struct {
	t      *testing.T
	stock  *stock.Stock
	orders *order.Orders
	pay    *payment.Payments
	till   *till

	asked sync.Map // order → closed when its claim is about to be sold

	mu    sync.Mutex
	late  map[string]int
	cases map[string]int
}

// stores is what the rooms store in; close ends what they do not close.
type stores struct {
	stock  driver.Driver
	orders orderdriver.Store
	pay    payment.Store
	close  func() error
}

func onSQLite(t *testing.T) stores {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	st, err1 := sqlitestock.Open(ctx, filepath.Join(dir, "stock.db"), sqlitestock.Options{})
	or, err2 := sqliteorder.Open(ctx, filepath.Join(dir, "orders"), sqliteorder.Options{})
	pay, err3 := payment.OpenSQLite(ctx, filepath.Join(dir, "payments.db"), groupcommit.Options{})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return stores{st, or, pay, func() error { return nil }}
}

func onMySQL(t *testing.T, url string) stores {
	t.Helper()
	ctx := t.Context()
	cfg, err1 := mysql.Parse(url)
	places, err2 := mysqlorder.Parse(url)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	st, err1 := mysqlstock.Open(ctx, cfg, mysqlstock.Options{})
	or, err2 := mysqlorder.Open(ctx, places, mysqlorder.Options{})
	db, err3 := mysql.Open(ctx, cfg, mysql.Options{Pool: 40})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	pay, err := payment.OpenMySQL(ctx, db, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return stores{st, or, pay, db.Close}
}

// setup opens a sale of that many units. Late money is dealt with as way says.
func setup(t *testing.T, s stores, units int64, way payment.LateMoney) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, till: newTill(), late: map[string]int{}, cases: map[string]int{}}
	var err error
	if w.stock, err = stock.New(ctx, s.stock, stock.Options{Deadline: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if w.orders, err = order.New(s.orders, w.stock, order.Options{Patience: time.Minute}); err != nil {
		t.Fatal(err)
	}
	w.pay, err = payment.Over(ctx, s.pay, payment.Deps{
		Orders: w.orders, Stock: watched{w.stock, w}, Providers: map[string]payment.Provider{"till": w.till},
	}, payment.Options{Late: way, QueryAfter: 200 * time.Millisecond,
		Lately: func(outcome string) { w.mu.Lock(); w.late[outcome]++; w.mu.Unlock() },
		Raised: func(kind string) { w.mu.Lock(); w.cases[kind]++; w.mu.Unlock() },
	})
	if err == nil {
		err = w.pay.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		err := errors.Join(w.pay.Stop(), w.stock.Close(ctx))
		w.orders.Stop()
		if err := errors.Join(err, s.orders.Close(), s.stock.Close(), s.close()); err != nil {
			t.Error(err)
		}
	})
	now := time.Now().Add(-time.Minute)
	_, err = w.stock.CreateSale(ctx, driver.Sale{
		ID: saleID, Title: "flash", StartsAt: now, EndsAt: now.Add(time.Hour), Window: 30 * time.Minute, Grace: time.Minute, Admission: "open",
		Items: []driver.SaleItem{{SKU: "cup", Title: "Cup", Price: price, Currency: "EUR", Limit: 1}},
	}, map[string]int64{"cup": units}, driver.Audit{Who: "op", Act: "sale.create", Why: "races"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// watched tells when payments are about to sell a claim.
type watched struct {
	*stock.Stock
	w *world
}

// Sell tells who waits for it that it is about to happen.
func (c watched) Sell(ctx context.Context, id ident.ID, why, trace string) (stock.MoveResult, error) {
	if asked, ok := c.w.asked.LoadAndDelete(id); ok {
		close(asked.(chan struct{}))
	}
	return c.Stock.Sell(ctx, id, why, trace)
}

// against returns f as it races with a payment: for one order in two at the moment at which the claim is sold, for the others
// at the moment at which the money is reported.
func (w *world) against(i int, o won, f func() error) func() error {
	if i%4 < 2 {
		return f
	}
	asked := make(chan struct{})
	w.asked.Store(o.id, asked)
	return func() error { <-asked; return f() }
}

// won is an order whose payment is pending.
type won struct {
	id   ident.ID
	user string
	pay  ident.ID
}

// win lets n buyers win a unit each and begin to pay.
func (w *world) win(n int, prefix string) []won {
	w.t.Helper()
	all := make([]won, n)
	each(n, func(i int) {
		user := fmt.Sprint(prefix, i)
		a := w.stock.Attempt(w.t.Context(), stock.Request{Sale: saleID, User: user, Key: "k", Items: []stock.Item{{SKU: "cup", Quantity: 1}}})
		if a.State != stock.Won {
			w.t.Errorf("%s: %v %v", user, a.State, a.Reason)
			return
		}
		p, _, err := w.pay.Begin(w.t.Context(), payment.Begin{Order: a.Attempt.ID, User: user, Key: "p", Method: "till"})
		if err != nil {
			w.t.Error(err)
		}
		all[i] = won{a.Attempt.ID, user, p.ID}
	})
	if w.t.Failed() {
		w.t.FailNow()
	}
	return all
}

// each runs f for 0 … n-1, 64 at a time, so that commits are shared.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	seats := make(chan struct{}, 64)
	for i := range n {
		seats <- struct{}{}
		all.Go(func() { f(i); <-seats })
	}
	all.Wait()
}

// race runs the two at the same moment.
func race(a, b func() error) (errA, errB error) {
	start := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { <-start; errA = a() })
	both.Go(func() { <-start; errB = b() })
	close(start)
	both.Wait()
	return errA, errB
}

// capture is the provider's report that it took the money.
func (w *world) capture(o won) error {
	w.till.take(o.pay)
	body, err := json.Marshal(event{ID: "m" + o.pay.String(), Payment: o.pay.String()})
	if err != nil {
		return err
	}
	return w.pay.Callback(w.t.Context(), "till", http.Header{}, body)
}

// expire lets go of the claim as the end of the window does.
func (w *world) expire(o won) error {
	res, err := w.stock.Release(w.t.Context(), o.id, driver.Held, stock.WhyExpired, "")
	if err == nil && res.Claim.State == driver.Released {
		_, err = w.orders.Follow(w.t.Context(), res.Claim)
	}
	return err
}

func (w *world) order(id ident.ID) order.Order {
	w.t.Helper()
	o, err := w.orders.Get(w.t.Context(), "", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// settled waits until no payment is unfinished, at most half a minute.
func (w *world) settled() {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; {
		n, err := w.pay.InFlight(w.t.Context())
		if err == nil && n == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d payments are unfinished: %v", n, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// judge lets package check compute every invariant from the exports, and compares the money of the till with that of the
// orders and the units sold, to the unit.
func (w *world) judge() {
	w.t.Helper()
	w.settled()
	rep, err := check.Run(w.t.Context(), check.Source{Export: w.export, Snapshot: w.snapshot}, check.Options{Route: shard.First().Route})
	if err != nil || rep.Verdict != check.Pass {
		w.t.Fatalf("%v\n%s", err, rep.Text())
	}
	if want := rep.Figures["sold"] * price; w.till.kept() != want {
		w.t.Errorf("the till kept %d for %d units sold, which is %d", w.till.kept(), rep.Figures["sold"], want)
	}
}

func (w *world) snapshot(ctx context.Context) (check.Snapshot, error) {
	s, err := w.stock.Snapshot(ctx)
	if err != nil {
		return check.Snapshot{}, err
	}
	return check.SnapshotOf(s), nil
}

func (w *world) export(ctx context.Context, name string, out io.Writer) error {
	switch name {
	case "orders":
		return w.orders.ExportOrders(ctx, out)
	case "order-events":
		return w.orders.ExportEvents(ctx, out)
	case "payments":
		return w.pay.Export(ctx, out)
	case "dead-letters", "balances":
		return nil // there is no bus, every step is taken directly; and nobody pays from a balance
	}
	return w.stock.Export(ctx, name, out)
}

// take lets another buyer have a unit, if there is one, and pay for it.
func (w *world) take(user string) {
	a := w.stock.Attempt(w.t.Context(), stock.Request{Sale: saleID, User: user, Key: "k", Items: []stock.Item{{SKU: "cup", Quantity: 1}}})
	if a.State != stock.Won {
		return
	}
	p, _, err := w.pay.Begin(w.t.Context(), payment.Begin{Order: a.Attempt.ID, User: user, Key: "p", Method: "till"})
	if err == nil {
		err = w.capture(won{a.Attempt.ID, user, p.ID})
	}
	if err != nil {
		w.t.Error(err)
	}
}

// ends counts in which of two states the orders ended; each ends in one of them.
func (w *world) ends(all []won, a, b order.State) map[order.State]int {
	w.t.Helper()
	n := map[order.State]int{}
	for _, o := range all {
		n[w.order(o.id).State]++
	}
	if n[a]+n[b] != len(all) && a != b || a == b && n[a] != len(all) {
		w.t.Errorf("orders ended %v", n)
	}
	return n
}

// checked is judge where part of the money went back while the units stayed sold.
func (w *world) checked() {
	w.t.Helper()
	rep, err := check.Run(w.t.Context(), check.Source{Export: w.export, Snapshot: w.snapshot}, check.Options{Route: shard.First().Route})
	if err != nil || rep.Verdict != check.Pass {
		w.t.Fatalf("%v\n%s", err, rep.Text())
	}
	if want := rep.Figures["captured"] - rep.Figures["refunded"]; w.till.kept() != want {
		w.t.Errorf("the till kept %d, the payments %d", w.till.kept(), want)
	}
}
