package sale_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/limit"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

var opening = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// room is a sale room over a real stock database with a clock that stands.
type room struct {
	*sale.Sales
	stock *stock.Stock
	clk   *clock.Fake
	t     *testing.T
}

type throttle struct{ l *limit.Limiter[string] }

func (t throttle) Allow(user string) (bool, time.Duration) {
	r := t.l.Take(user)
	return r.Allowed, r.RetryAfter
}

func setup(t *testing.T) *room {
	t.Helper()
	clk := clock.NewFake(opening.Add(-time.Hour))
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(0)
	st, err := stock.New(t.Context(), drv, stock.Options{Clock: clk, OnCommit: g.Observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	users := throttle{limit.New[string](limit.Rate{Calls: 1, Per: time.Second}, limit.Options{Clock: clk})}
	return &room{sale.New(st, g, sale.Options{Clock: clk, Throttle: users}), st, clk, t}
}

func (r *room) create(units, perUser int64) {
	r.t.Helper()
	_, err := r.Create(r.t.Context(), "op", sale.Definition{
		ID: "s", Title: "Double Eleven", StartsAt: opening, EndsAt: opening.Add(time.Hour), PaymentWindowSeconds: 60,
		Items: []sale.ItemDefinition{{SKU: "tea", Title: "Tea", Price: 990, Currency: "CNY", Stock: units, LimitPerUser: perUser}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// buy returns "won", "unknown" or the reason of the refusal, with a "+" for a replay.
func (r *room) buy(user, key string) string {
	r.t.Helper()
	a := r.Attempt(r.t.Context(), stock.Request{Sale: "s", User: user, Key: key, Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
	out := a.State.String()
	if a.State == stock.Lost {
		out = string(a.Reason)
	}
	if a.Replayed {
		out += "+"
	}
	return out
}

func (r *room) want(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// A winner's retry gets the win whatever the filters say meanwhile: throttled, sold out, paused, closed.
func TestReplayComesBeforeEveryRefusal(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(1, 1)
	r.want("before the opening", r.buy("ann", "k"), "sale-not-open")
	r.clk.Advance(time.Hour)
	r.want("first", r.buy("ann", "k"), "won")
	r.want("double click within the second", r.buy("ann", "k"), "won+")
	r.want("another key within the second", r.buy("ann", "k2"), "stock-held")
	r.want("another buyer", r.buy("bob", "k"), "stock-held")
	claim, _, err := r.Lookup(t.Context(), "s", "ann", "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.stock.Sell(t.Context(), claim.Attempt.ID, "paid", ""); err != nil {
		t.Fatal(err)
	}
	r.want("sold out for bob", r.buy("bob", "k"), "sold-out")
	r.want("sold out for ann's key", r.buy("ann", "k"), "won+")
	for _, act := range []sale.Action{sale.DoPause, sale.DoClose} {
		if _, err = r.Act(t.Context(), "op", "s", act, "test"); err != nil {
			t.Fatal(err)
		}
		r.want("after "+string(act), r.buy("ann", "k"), "won+")
	}
	r.want("bob after close", r.buy("bob", "k"), "sale-closed")
}

// A user makes one attempt a second; a refused one does not count, and another user is not affected.
func TestThrottleIsPerUserAndCountsAdmittedAttempts(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(10, 5)
	r.clk.Advance(time.Hour)
	r.want("first", r.buy("ann", "a"), "won")
	r.want("second at once", r.buy("ann", "b"), "quota-exceeded")
	r.want("other user", r.buy("bob", "a"), "won")
	r.clk.Advance(time.Second)
	r.want("a second later", r.buy("ann", "b"), "won")
}

// A user who goes on with fresh keys after his limit is told the truth each time, but stops costing durable rows, and the keys
// that were bound keep their answers.
func TestAbuserCostsFewRows(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(10, 1)
	r.clk.Advance(time.Hour)
	r.want("the win", r.buy("ann", "k"), "won")
	for i := range 30 {
		r.clk.Advance(time.Second)
		r.want("over the limit", r.buy("ann", fmt.Sprint("fresh", i)), "limit-reached")
	}
	r.want("a bound no", r.buy("ann", "fresh0"), "limit-reached+")
	r.want("the win again", r.buy("ann", "k"), "won+")
	r.want("somebody else", r.buy("bob", "k"), "won")
	entries, err := r.stock.Journal(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	noes := 0
	for _, e := range entries {
		if e.Kind == driver.Refuse {
			noes++
		}
	}
	if noes == 0 || noes > 8 {
		t.Errorf("%d final noes were made durable, want 1 to 8", noes)
	}
}

// What buyers see follows the stock: plenty, few, held, none; and the sale is sold out only when nothing can come back.
func TestViewFollowsTheStock(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(10, 0)
	r.clk.Advance(time.Hour)
	see := func() string {
		v, err := r.View(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v.State, " ", v.Items[0].Availability)
	}
	r.want("full", see(), "open plenty")
	var ids []stock.ID
	for i := range 10 {
		a := r.Attempt(t.Context(), stock.Request{Sale: "s", User: fmt.Sprint("u", i), Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
		ids = append(ids, a.Attempt.ID)
		if i == 8 {
			r.want("one left of ten", see(), "open few")
		}
	}
	r.want("all held", see(), "open held")
	for _, id := range ids {
		if _, err := r.stock.Sell(t.Context(), id, "paid", ""); err != nil {
			t.Fatal(err)
		}
	}
	r.want("all sold", see(), "sold_out none")
	if _, err := r.Offer(t.Context(), "op", "s", "tea", 3, "", "more came"); err != nil {
		t.Fatal(err)
	}
	r.want("topped up", see(), "open plenty")
	if _, err := r.Act(t.Context(), "op", "s", sale.DoForceSoldOut, "recall"); err != nil {
		t.Fatal(err)
	}
	r.want("forced", see(), "sold_out none")
	r.want("an attempt when forced", r.buy("zoe", "k"), "sold-out")
	if _, err := r.Act(t.Context(), "op", "s", sale.DoResume, "recall over"); err != nil {
		t.Fatal(err)
	}
	r.want("resumed", r.buy("zoe", "k2"), "won")
}

// Every mistake in a definition is named with its place.
func TestDefinitionErrorsNameTheirPlace(t *testing.T) {
	t.Parallel()
	r := setup(t)
	negative := int64(-1)
	_, err := r.Create(t.Context(), "op", sale.Definition{
		ID: "../x", Title: "", StartsAt: opening, EndsAt: opening, Admission: "lottery", PaymentWindowSeconds: -5, GraceSeconds: &negative,
		Items: []sale.ItemDefinition{
			{SKU: "a", Title: "A", Price: -1, Currency: "CNY", Stock: 1},
			{SKU: "a", Title: "A", Price: 1, Currency: "USD", Stock: -1, LimitPerUser: -1},
		},
	})
	e, ok := err.(*errs.Error)
	if !ok || e.Code != errs.Invalid {
		t.Fatalf("got %v, want invalid-request", err)
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Pointer)
	}
	want := []string{
		"/id", "/title", "/endsAt", "/admission", "/paymentWindowSeconds", "/graceSeconds", "/items/0/price", "/items/1/sku",
		"/items/1/currency", "/items/1/stock", "/items/1/limitPerUser",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pointers (-want +got):\n%s", diff)
	}
	if snap, err := r.stock.Snapshot(t.Context()); err != nil || len(snap.Sales) != 0 {
		t.Errorf("a refused definition left %d sales (%v)", len(snap.Sales), err)
	}
}

// An action that the state does not allow changes nothing and says so; a closed sale stays closed.
func TestActionsFollowTheStates(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(1, 1)
	for _, step := range []struct {
		act  sale.Action
		code errs.Code
		then sale.State
	}{
		{sale.DoResume, errs.IllegalTransition, sale.Scheduled},
		{sale.DoOpen, "", sale.Open},
		{sale.DoOpen, errs.IllegalTransition, sale.Open},
		{sale.DoPause, "", sale.Paused},
		{sale.DoPause, errs.IllegalTransition, sale.Paused},
		{sale.DoResume, "", sale.Open},
		{"explode", errs.Invalid, sale.Open},
		{sale.DoClose, "", sale.Closed},
		{sale.DoOpen, errs.IllegalTransition, sale.Closed},
		{sale.DoResume, errs.IllegalTransition, sale.Closed},
	} {
		_, err := r.Act(t.Context(), "op", "s", step.act, "test")
		v, _ := r.View(t.Context(), "s")
		if errs.CodeOf(err) != step.code || v.State != step.then {
			t.Errorf("%s: %v and %s, want %q and %s", step.act, err, v.State, step.code, step.then)
		}
	}
	title := "new"
	if _, err := r.Patch(t.Context(), "op", "s", 0, sale.Patch{Title: &title}); !errs.Is(err, errs.SaleClosed) {
		t.Errorf("patching a closed sale: %v, want sale-closed", err)
	}
	rows, err := r.stock.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, a := range rows {
		acts = append(acts, a.Act)
	}
	if diff := cmp.Diff([]string{"sale.create", "sale.open", "sale.pause", "sale.resume", "sale.close"}, acts); diff != "" {
		t.Errorf("the trail holds other acts than those that happened (-want +got):\n%s", diff)
	}
}

// A buyer can learn why: bound answers with their place in the order of decision, unbound refusals from memory.
func TestWhy(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.create(1, 1)
	r.buy("ann", "early")
	r.clk.Advance(time.Hour)
	r.buy("ann", "k")
	r.buy("bob", "k")
	for user, want := range map[string]string{"ann early": "sale-not-open", "ann k": "won", "bob k": "stock-held"} {
		var name, key string
		fmt.Sscan(user, &name, &key)
		w, err := r.Why(t.Context(), "s", name, key)
		if err != nil {
			t.Fatal(err)
		}
		last := w.Stages[len(w.Stages)-1].Verdict
		if last != want && last != "refused: "+want || w.Rule == "" || (w.Place > 0) != (want == "won") {
			t.Errorf("why %s: %+v, want %s", user, w, want)
		}
	}
	if _, err := r.Why(t.Context(), "s", "eve", "k"); !errs.Is(err, errs.NotFound) {
		t.Errorf("why of an unknown key: %v, want not-found", err)
	}
}

// The gate never says "sold out" while units are held, however reads and commits interleave.
func TestGateNeverCallsHeldStockSoldOut(t *testing.T) {
	t.Parallel()
	g := gate.New(0)
	g.Observe(stock.Committed{
		Sales: []driver.Sale{{ID: "s", StartsAt: opening, EndsAt: opening.Add(time.Hour)}},
		Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: 1, Available: 1}},
	})
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for i := range 50000 {
			held := int64(i % 2)
			g.Observe(stock.Committed{Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: 1, Available: 1 - held, Held: held}}})
		}
	}()
	ask := stock.Request{Sale: "s", User: "u", Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}}
	for {
		select {
		case <-stop:
			return
		default:
			if v := g.Admit(t.Context(), opening, &ask); v.Say != gate.Pass && v.Answer.Reason != errs.StockHeld {
				t.Fatalf("the gate says %s while the unit is available or held", v.Answer.Reason)
			}
		}
	}
}
