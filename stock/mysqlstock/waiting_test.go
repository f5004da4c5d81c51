package mysqlstock_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/drivertest"
	"penstock/stock/mysqlstock"
)

// Processes that release, sell, and let join and leave at the same time hand each unit over once, in the order of the list,
// and sell nothing past it.
func racingReleases(t *testing.T, e *env) {
	t.Parallel()
	const units, first, others = 60, 10, 120
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	url := e.server.Database(t)
	ps := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	ps[0].sell(t, units, 0)
	ps[0].change(t, func(s *driver.Sale) { s.WaitingList = true })
	var held []stock.ID
	for i := range units {
		held = append(held, ps[i%2].buy(fmt.Sprint("w", i), "k").Attempt.ID)
	}
	for i := range first { // so that at least these are handed a unit, however the rest is scheduled
		if _, err := ps[i%2].Join(t.Context(), stock.JoinRequest{Sale: "s", User: fmt.Sprint("first", i), Key: "j", SKU: "a", Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range others {
		p, rnd := ps[i%2], rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() { waits(t, p, fmt.Sprint("u", i), rnd) })
	}
	for i := range held {
		wg.Go(func() {
			if r, err := ps[(i+1)%2].Release(context.Background(), held[i], driver.Held, stock.WhyCancelled, ""); err != nil || !r.Moved {
				t.Errorf("release %d: %+v, %v", i, r, err)
			}
		})
	}
	wg.Wait()
	audit(t, ps[1])
	snap, err := ps[0].Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := ps[0].Journal(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := drivertest.CheckLists(snap.Sales, entries); err != nil {
		t.Error(err)
	}
	handed := 0
	for i := range entries {
		if e := &entries[i]; e.Kind == driver.Hold {
			if _, yes := stock.EntryOf(e.Attempt.Key.Key); yes {
				handed++
			}
		}
	}
	if row := snap.Stock[0]; handed < first || row.Available > 0 && row.Waiting > 0 {
		t.Errorf("%d units were handed over; the row is %+v", handed, row)
	}
}

// waits joins, and then leaves, buys what it was offered, gives it back, or goes on waiting. What has changed meanwhile is no
// mistake of anybody.
func waits(t *testing.T, p *process, user string, rnd *rand.Rand) {
	ctx := context.Background()
	e, err := p.Join(ctx, stock.JoinRequest{Sale: "s", User: user, Key: "j", SKU: "a", Quantity: 1})
	if errs.Is(err, errs.StockAvailable) {
		p.buy(user, "k")
		return
	}
	if err == nil && rnd.IntN(4) == 0 {
		if _, err = p.Leave(ctx, "s", user, e.Seq); errs.Is(err, errs.IllegalTransition) {
			err = nil
		}
	}
	if err == nil {
		e, err = p.Waiting(ctx, "s", user, e.Seq)
	}
	if err == nil && e.State == driver.Offered {
		if rnd.IntN(2) == 0 {
			_, err = p.Release(ctx, e.Order, driver.Held, stock.WhyCancelled, "")
		} else {
			_, err = p.Sell(ctx, e.Order, "", "")
		}
	}
	if err != nil {
		t.Errorf("%s: %v", user, err)
	}
}

// Two buyers whose carts name the same SKUs in opposite order, each at a process of his own, never wait for each other for
// ever and never tear a cart: of every pair that wants the last units one wins all its lines.
func cartsAtTwoProcesses(t *testing.T, e *env) {
	t.Parallel()
	const carts = 150
	url := e.server.Database(t)
	ps := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	now := time.Now()
	sale := driver.Sale{ID: "cart", Title: "cart", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour, Admission: "open"}
	for _, sku := range []string{"a", "b", "c"} {
		sale.Items = append(sale.Items, driver.SaleItem{SKU: sku, Title: sku, Price: 1, Currency: "CNY"})
	}
	if _, err := ps[0].CreateSale(t.Context(), sale, map[string]int64{"a": 60, "b": 40, "c": 120}, driver.Audit{Who: "op", Act: "create"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	won := make([]bool, carts)
	for i := range carts {
		items := []stock.Item{{SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 1}, {SKU: "c", Quantity: 2}}
		if i%2 == 1 {
			items[0], items[2] = items[2], items[0]
		}
		wg.Go(func() {
			a := ps[i%2].Attempt(context.Background(), stock.Request{Sale: "cart", User: fmt.Sprint("u", i), Key: "k", Items: items})
			won[i] = a.State == stock.Won
			if won[i] && (len(a.Attempt.Lines) != 3 || a.Attempt.Amount != 4) || a.State == stock.Unknown {
				t.Errorf("cart %d: %+v", i, a)
			}
		})
	}
	wg.Wait()
	n := int64(0)
	for _, w := range won {
		if w {
			n++
		}
	}
	snap, err := ps[0].Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range snap.Stock {
		want := map[string]int64{"a": 40, "b": 40, "c": 80}[row.SKU]
		if row.Held != want || n != 40 {
			t.Errorf("%d carts won; %+v, want %d held", n, row, want)
		}
	}
}
