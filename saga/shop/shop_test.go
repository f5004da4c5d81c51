package shop_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/order"
	"penstock/order/sqliteorder"
	"penstock/saga/participant"
	"penstock/saga/shop"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
	"penstock/stock/sqlitestock"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a stock with one sale, "s", of three lamps, at most two for each user, and its orders.
type house struct {
	t      *testing.T
	stock  *stock.Stock
	orders *order.Orders
	s, o   participant.Participant
}

func setup(t *testing.T, drv driver.Driver, clk clock.Clock) *house {
	t.Helper()
	st, err := stock.New(t.Context(), drv, stock.Options{Clock: clk})
	check(t, err)
	store, err := sqliteorder.Open(t.Context(), filepath.Join(t.TempDir(), "orders"), sqliteorder.Options{})
	check(t, err)
	orders, err := order.New(store, st, order.Options{Clock: clk})
	check(t, err)
	t.Cleanup(func() {
		orders.Stop()
		check(t, store.Close())
		check(t, st.Close(context.Background()))
		check(t, drv.Close())
	})
	now := clk.Now()
	_, err = st.CreateSale(t.Context(), driver.Sale{
		ID: "s", Title: "S", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Minute, Admission: "open",
		Items: []driver.SaleItem{{SKU: "lamp", Title: "Lamp", Price: 990, Currency: "EUR", Limit: 2}},
	}, map[string]int64{"lamp": 3}, driver.Audit{Who: "op", Act: "sale.create"})
	check(t, err)
	return &house{t, st, orders, shop.NewStock(st), shop.NewOrder(st, orders, shop.Money{})}
}

// policy is what must be true on every engine of the stock.
var policy = map[string]func(*testing.T, *house){
	"stock and order take part": testStockAndOrderTakePart,
	"cancel before try":         testCancelBeforeTry,
	"try meets cancel":          testTryMeetsCancel,
	"try follows the sale":      testTryFollowsTheSale,
}

// The policy over SQLite.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policy {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
			check(t, err)
			test(t, setup(t, drv, clock.Real{}))
		})
	}
}

// The same policy over MariaDB.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	t.Run("policy", func(t *testing.T) {
		for name, test := range policy {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg, err := mysql.Parse(server.Database(t))
				check(t, err)
				drv, err := mysqlstock.Open(t.Context(), cfg, mysqlstock.Options{})
				check(t, err)
				test(t, setup(t, drv, clock.Real{}))
			})
		}
	})
}

func hold(tx, user string) participant.Branch {
	text, _ := json.Marshal(map[string]any{"sale": "s", "user": user, "items": []stock.Item{{SKU: "lamp", Quantity: 1}}}) // always has a JSON form
	return participant.Branch{Transaction: tx, Name: "stock", Payload: text}
}

func follow(tx, user string) participant.Branch {
	return participant.Branch{Transaction: tx, Name: "order", Payload: json.RawMessage(`{"sale":"s","user":"` + user + `"}`)}
}

func (h *house) yes(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Error(err)
	}
}

func (h *house) no(err error) {
	h.t.Helper()
	if !participant.Refused(err) {
		h.t.Errorf("want a definite no, got %v", err)
	}
}

func (h *house) level(available, held, sold int64) {
	h.t.Helper()
	snap, err := h.stock.Snapshot(h.t.Context())
	check(h.t, err)
	if l := snap.Stock[0]; l.Available != available || l.Held != held || l.Sold != sold {
		h.t.Errorf("available %d, held %d, sold %d; want %d, %d, %d", l.Available, l.Held, l.Sold, available, held, sold)
	}
}

// state is the state of the user's only order, or "".
func (h *house) state(user string) order.State {
	h.t.Helper()
	all, _, err := h.orders.List(h.t.Context(), user, "", 10)
	check(h.t, err)
	if len(all) != 1 {
		return ""
	}
	return all[0].State
}

// Stock and order hold, take and give back one thing, whichever of them is called first and however often.
func testStockAndOrderTakePart(t *testing.T, h *house) {
	ctx := t.Context()
	for range 2 {
		h.yes(h.s.Try(ctx, hold("buy", "ann")))
		h.yes(h.o.Try(ctx, follow("buy", "ann")))
	}
	h.level(2, 1, 0)
	if got := h.state("ann"); got != order.PendingPayment {
		t.Errorf("the order is %q", got)
	}
	for range 2 {
		h.yes(h.o.Confirm(ctx, follow("buy", "ann")))
		h.yes(h.s.Confirm(ctx, hold("buy", "ann")))
	}
	h.level(2, 0, 1)
	if got := h.state("ann"); got != order.Paid {
		t.Errorf("the order is %q", got)
	}
	h.no(h.s.Cancel(ctx, hold("buy", "ann")))
	h.no(h.o.Cancel(ctx, follow("buy", "ann")))
	h.level(2, 0, 1)

	h.yes(h.s.Try(ctx, hold("leave", "bob")))
	h.yes(h.o.Try(ctx, follow("leave", "bob")))
	for range 2 {
		h.yes(h.o.Cancel(ctx, follow("leave", "bob")))
		h.yes(h.s.Cancel(ctx, hold("leave", "bob")))
	}
	h.level(2, 0, 1)
	if got := h.state("bob"); got != order.Cancelled {
		t.Errorf("the order is %q", got)
	}
	h.no(h.s.Try(ctx, hold("leave", "bob")))
	h.no(h.s.Confirm(ctx, hold("leave", "bob")))
	h.no(h.o.Confirm(ctx, follow("leave", "bob")))
	h.level(2, 0, 1)
}

// A cancel before its try is answered ok, and the try that comes later takes nothing; the key is final.
func testCancelBeforeTry(t *testing.T, h *house) {
	ctx := t.Context()
	h.yes(h.o.Cancel(ctx, follow("empty", "ann")))
	h.yes(h.s.Cancel(ctx, hold("empty", "ann")))
	h.yes(h.s.Cancel(ctx, hold("empty", "ann")))
	h.no(h.s.Try(ctx, hold("empty", "ann")))
	h.no(h.o.Try(ctx, follow("empty", "ann")))
	h.no(h.s.Confirm(ctx, hold("empty", "ann")))
	h.level(3, 0, 0)
	h.yes(h.s.Try(ctx, hold("other", "ann"))) // only the key is void
	h.yes(h.s.Cancel(ctx, participant.Branch{Transaction: "x", Name: "stock", Payload: json.RawMessage(`{}`)}))
	h.no(h.s.Try(ctx, participant.Branch{Transaction: "x", Name: "stock", Payload: json.RawMessage(`{"sale":"s"}`)}))
}

// A try and its cancel that meet leave nothing held, whoever comes first.
func testTryMeetsCancel(t *testing.T, h *house) {
	for i := range 50 {
		tx := "race" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		var both sync.WaitGroup
		both.Go(func() { _ = h.s.Try(t.Context(), hold(tx, "ann")) }) // won or refused
		both.Go(func() { h.yes(h.s.Cancel(t.Context(), hold(tx, "ann"))) })
		both.Wait()
		h.yes(h.s.Cancel(t.Context(), hold(tx, "ann")))
	}
	h.level(3, 0, 0)
}

// The sale's rules hold for transactions: no more than the limit, no more than there is.
func testTryFollowsTheSale(t *testing.T, h *house) {
	ctx := t.Context()
	h.yes(h.s.Try(ctx, hold("a1", "ann")))
	h.yes(h.s.Try(ctx, hold("a2", "ann")))
	h.no(h.s.Try(ctx, hold("a3", "ann")))
	h.yes(h.s.Try(ctx, hold("b1", "bob")))
	h.no(h.s.Try(ctx, hold("c1", "cat")))
	h.level(0, 3, 0)
}
