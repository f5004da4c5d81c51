package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// books is a stock database and its orders, held in memory, with one claim of two units.
type books struct {
	row    driver.Stock
	claim  driver.Attempt
	orders map[ident.ID]order.State
	trail  []driver.Audit
	sales  []driver.Sale
}

func newBooks() *books {
	claim := driver.Attempt{ID: 7, Seq: 2, Key: driver.Key{Sale: "s", User: "ann", Key: "k"}, State: driver.Held, Lines: []driver.Line{{SKU: "a", Quantity: 2}}}
	return &books{
		row:    driver.Stock{Sale: "s", SKU: "a", Offered: 5, Available: 3, Held: 2, Version: 2},
		claim:  claim,
		orders: map[ident.ID]order.State{7: order.PendingPayment},
	}
}

func (b *books) Snapshot(context.Context) (*driver.Snapshot, error) {
	return &driver.Snapshot{Seq: 2, Stock: []driver.Stock{b.row}, Sales: b.sales}, nil
}

// reconciler compares the books with a gate; backlog is what the orders have not got yet.
func (b *books) reconciler(g Gate, backlog int64) *Reconciler {
	return New(Deps{
		Stock: b, Gate: g, Orders: b, Rows: b, Clock: clock.NewFake(time.Unix(0, 0)),
		Backlog: func(context.Context) (int64, error) { return backlog, nil },
	})
}

func (b *books) Claim(context.Context, ident.ID) (*driver.Attempt, error) { return &b.claim, nil }

func (b *books) Journal(_ context.Context, after uint64, _ int) ([]driver.Entry, error) {
	if after >= 2 {
		return nil, nil
	}
	return []driver.Entry{
		{Seq: 1, Kind: driver.OfferKind, Offer: &driver.Offer{Key: driver.Key{Sale: "s"}, SKU: "a", Delta: 5}},
		{Seq: 2, Kind: driver.Hold, Attempt: &b.claim},
	}, nil
}

func (b *books) Record(_ context.Context, a driver.Audit) error {
	b.trail = append(b.trail, a)
	return nil
}

func (b *books) Stored(_ context.Context, id ident.ID) (*order.Order, error) {
	state, ok := b.orders[id]
	if !ok {
		return nil, nil
	}
	return &order.Order{ID: id, State: state}, nil
}

func (b *books) Walk(_ context.Context, f func(*order.Order, *order.Misplaced) error) error {
	for id, state := range b.orders {
		if err := f(&order.Order{ID: id, State: state}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Mend(_ context.Context, c *driver.Attempt) (order.Order, error) {
	b.orders[c.ID] = order.PendingPayment
	return order.Order{ID: c.ID, State: order.PendingPayment}, nil
}

// Each planted drift is found as what it is; the gate and the orders are mended with a row in the trail, the ledger is only
// told; a second repair finds nothing more to mend; and books that agree, or are on their way, show no difference.
func TestDriftIsFoundAndMended(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		plant   func(*books, *gate.Memory)
		backlog int64
		kind    string
		mended  bool
	}{
		{"books that agree", func(*books, *gate.Memory) {}, 0, "", false},
		{"a stale gate", func(b *books, g *gate.Memory) {
			stale := b.row
			stale.Available, stale.Held = 5, 0
			g.Observe(stock.Committed{Stock: []driver.Stock{stale}})
		}, 0, KindGate, true},
		{"a missing order", func(b *books, _ *gate.Memory) { delete(b.orders, 7) }, 0, KindMissing, true},
		{"an order gone elsewhere", func(b *books, _ *gate.Memory) { b.orders[7] = order.Cancelled }, 0, KindOrder, true},
		{"an order on its way", func(b *books, _ *gate.Memory) { b.orders[7] = order.Accepted }, 1, "", false},
		{"a stock row that lies", func(b *books, g *gate.Memory) {
			b.row.Available, b.row.Sold = 2, 1
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
		}, 0, KindLedger, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, g := newBooks(), gate.New(0)
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
			c.plant(b, g)
			r := b.reconciler(g, c.backlog)
			found, err := r.Repair(t.Context(), "op", "drill")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, d := range found.Differences {
				got += fmt.Sprint(d.Kind, " ", d.Repaired)
			}
			want := ""
			if c.kind != "" {
				want = fmt.Sprint(c.kind, " ", c.mended)
			}
			if got != want {
				t.Errorf("found %q, want %q", got, want)
			}
			if rows := len(b.trail); rows != 0 != c.mended {
				t.Errorf("%d rows in the trail, mended is %v", rows, c.mended)
			}
			again, err := r.Report(t.Context())
			if err != nil || (len(again.Differences) > 0) != (c.kind == KindLedger) {
				t.Errorf("the second look finds %v (%v)", again, err)
			}
		})
	}
	if _, err := newBooks().reconciler(gate.New(0), 0).Repair(t.Context(), "op", ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("a repair without a reason: %v", err)
	}
}

// content is what processes share of the gate of the one sale of books.
type content struct {
	b      *books
	levels map[string]string
	built  int
	err    error
}

func (c *content) Content(context.Context, string) (map[string]string, error) { return c.levels, c.err }

func (c *content) Rebuild(context.Context, string) error {
	c.built++
	c.levels = map[string]string{"a": fmt.Sprint(c.b.row.Version, " ", c.b.row.Available, " ", c.b.row.Available)}
	return nil
}

// What processes share of the gate and the row disagree about is found and built anew, with a row in the trail; what is not
// reached is told and left; units on their way are no difference, and a second repair builds nothing.
func TestSharedGateIsRebuilt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, level string
		err         error
		found       bool
		mended      bool
	}{
		{"the same", "2 3 3", nil, false, false}, {"units on their way", "2 3 -1", nil, false, false}, {"too low", "2 1 1", nil, true, true},
		{"too high", "2 3 9", nil, true, true}, {"a version to come", "9 3 3", nil, true, true}, {"behind", "1 5 5", nil, true, true},
		{"nothing", "", nil, true, true}, {"no numbers", "many", nil, true, true}, {"away", "2 3 3", errors.New("refused"), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, g := newBooks(), gate.New(0)
			b.sales = []driver.Sale{{ID: "s", EndsAt: time.Unix(1000, 0)}}
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
			shared := &content{b: b, levels: map[string]string{"a": c.level}, err: c.err}
			r := b.reconciler(g, 0)
			r.Shared = shared
			found, err := r.Repair(t.Context(), "op", "drill")
			if err != nil || len(found.Differences) > 0 != c.found || c.found && (found.Differences[0].Kind != KindShared || found.Differences[0].Repaired != c.mended) {
				t.Fatalf("%+v, %v", found, err)
			}
			if len(b.trail) > 0 != c.mended {
				t.Errorf("the trail is %+v", b.trail)
			}
			built := shared.built
			if again, err := r.Repair(t.Context(), "op", "drill"); err != nil || len(again.Differences) > 0 != (c.err != nil) || shared.built != built {
				t.Errorf("the second repair finds %+v and builds %d times (%v)", again, shared.built-built, err)
			}
		})
	}
}

// An allowance that is not what the claims add up to is counted anew once, with a row in the trail; where the journal contradicts
// a claim it is only listed.
func TestAllowanceIsRecounted(t *testing.T) {
	t.Parallel()
	for _, lies := range []bool{false, true} {
		b, g, have := newBooks(), gate.New(0), int64(7)
		g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
		if lies {
			b.claim.State = driver.Sold
			b.orders[7] = order.Paid
		}
		r := b.reconciler(g, 0)
		r.Taken = func(_ context.Context, refs []driver.TakenRef) ([]int64, error) {
			return []int64{have}[:len(refs)], nil
		}
		r.Recount = func(context.Context, driver.TakenRef) error { have = 2; return nil }
		for turn := range 2 {
			found, err := r.Repair(t.Context(), "op", "drill")
			n := 0
			for _, d := range found.Differences {
				if d.Kind == KindAllowance {
					if n++; d.Repaired == lies {
						t.Errorf("lies %v: %+v", lies, d)
					}
				}
			}
			if want := map[bool]int{true: 1, false: 1 - turn}[lies]; err != nil || n != want {
				t.Errorf("lies %v, turn %d: %d differences, want %d, %v", lies, turn, n, want, err)
			}
		}
		if want := map[bool]int{true: 0, false: 1}[lies]; len(b.trail) != want {
			t.Errorf("lies %v: the trail is %+v", lies, b.trail)
		}
	}
}

// While messages are on their way, an order that may only be behind is no difference, and the report says that it is not complete
// and why; what no message on its way can explain is a difference all the same. Once nothing is on its way the books are compared
// wholly, and a message that arrived between two reads leaves no trace.
func TestReportSaysWhatItCouldNotJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		plant   func(*books)
		backlog []int64 // answers one after the other; the last one stays
		found   string
		gap     string
	}{
		{"nothing on its way", func(b *books) { delete(b.orders, 7) }, []int64{0}, KindMissing, ""},
		{"a message on its way", func(b *books) { delete(b.orders, 7) }, []int64{1}, "", KindMissing},
		{"an order behind", func(b *books) { b.orders[7] = order.Accepted }, []int64{2}, "", KindOrder},
		{"a contradiction", func(b *books) { b.orders[7] = order.Cancelled }, []int64{1}, KindOrder, ""},
		{"books that agree", func(*books) {}, []int64{1}, "", ""},
		{"a message sent after the first look", func(b *books) { delete(b.orders, 7) }, []int64{0, 1}, "", KindMissing},
		{"messages that arrived meanwhile", func(b *books) { delete(b.orders, 7) }, []int64{3, 0}, KindMissing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, g := newBooks(), gate.New(0)
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
			c.plant(b)
			r, asked := b.reconciler(g, 0), 0
			r.Backlog = func(context.Context) (int64, error) {
				asked++
				return c.backlog[min(asked, len(c.backlog))-1], nil
			}
			got, err := r.Report(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var found, gaps string
			for _, d := range got.Differences {
				found += d.Kind
			}
			for _, g := range got.Gaps {
				gaps += g.Kind
				if g.Count != 1 || !strings.Contains(g.Why, "on their way") {
					t.Errorf("gap %+v", g)
				}
			}
			if found != c.found || gaps != c.gap {
				t.Errorf("found %q with gaps %q, want %q and %q", found, gaps, c.found, c.gap)
			}
		})
	}
}

// A refund that takes days at a bank is no gap while the sums agree; what a payment in motion may explain is one, and once it has
// come to rest it is a difference.
func TestMoneyInMotionIsNoDifference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, payments, found, gap string
	}{
		{"a refund at the bank", `{"order":"7","state":"refunding","captured":0,"refunded":0,"at":"1960-01-01T00:00:00Z"}`, "", ""},
		{"two captures, one of them on its way back", `{"order":"7","state":"refunding","captured":50,"refunded":0,"at":"1960-01-01T00:00:00Z"}`, "", KindMoney},
		{"captured a moment ago", `{"order":"7","state":"captured","captured":50,"refunded":0,"at":"1970-01-01T00:00:00Z"}`, "", KindMoney},
		{"late, and a case", `{"order":"7","state":"captured","late":true,"captured":50,"refunded":0,"at":"1960-01-01T00:00:00Z"}`, "", ""},
		{"captured long ago", `{"order":"7","state":"captured","captured":50,"refunded":0,"at":"1960-01-01T00:00:00Z"}`, KindMoney, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, g := newBooks(), gate.New(0)
			b.orders[7], b.claim.State = order.Paid, driver.Sold
			b.row.Held, b.row.Sold = 0, 2
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
			r := b.reconciler(g, 0)
			r.Payments = func(_ context.Context, w io.Writer) error {
				_, err := io.WriteString(w, c.payments+"\n")
				return err
			}
			got, err := r.Report(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var found, gaps string
			for _, d := range got.Differences {
				if d.Kind == KindMoney || d.Kind == KindUnpaid {
					found += d.Kind
				}
			}
			for _, g := range got.Gaps {
				gaps += g.Kind
			}
			if found != c.found || gaps != c.gap {
				t.Errorf("found %q with gaps %q, want %q and %q", found, gaps, c.found, c.gap)
			}
		})
	}
}
