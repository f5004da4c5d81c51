package till_test

import (
	"path/filepath"
	"sync"
	"testing"

	"penstock/balance"
	"penstock/balance/till"
	"penstock/engine/groupcommit"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
)

type world struct {
	*balance.Balances
	till till.Till
	t    *testing.T
}

func setup(t *testing.T, user string, amount int64) world {
	t.Helper()
	s, err := balance.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "balances.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := balance.New(s, balance.Options{})
	t.Cleanup(func() { b.Close() })
	if _, _, err := b.Post(t.Context(), balance.Move{Once: "top-up", Kind: balance.TopUp, User: user, Currency: "EUR", Amount: amount}); err != nil {
		t.Fatal(err)
	}
	return world{b, till.New(b), t}
}

// says wants what a call answered.
func (w world) says(want payment.Status) func(payment.Result, error) payment.Result {
	return func(got payment.Result, err error) payment.Result {
		w.t.Helper()
		if err != nil || got.Status != want || want == payment.Declined && got.Why == "" {
			w.t.Errorf("%+v %v, want %v", got, err, want)
		}
		return got
	}
}

func (w world) has(want int64) {
	w.t.Helper()
	all, err := w.Standings(w.t.Context(), "ann")
	if err != nil || all[0].Balance != want {
		w.t.Errorf("%+v %v, want %d", all, err, want)
	}
}

func charge(id ident.ID, amount int64) payment.Charge {
	return payment.Charge{Payment: id, Order: 1, User: "ann", Amount: amount, Currency: "EUR"}
}

var ids = func() (all [8]ident.ID) {
	g := ident.NewGenerator(1, 0)
	for i := range all {
		all[i] = g.Next(ident.ID(1<<40).Time(), ident.SlotOf("ann"))
	}
	return all
}()

// A payment is taken once under its id, or declined once and for all, and the query says which.
func TestChargeIsFinal(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, "ann", 100), t.Context()
	w.says(payment.Absent)(w.till.Query(ctx, ids[0]))
	first := w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[0], 60)))
	again := w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[0], 60)))
	asked := w.says(payment.Taken)(w.till.Query(ctx, ids[0]))
	if first.Ref == "" || again != first || asked != first || first.Amount != 60 || first.Currency != "EUR" {
		t.Errorf("%+v, again %+v, asked %+v", first, again, asked)
	}
	w.says(payment.Declined)(w.till.Charge(ctx, charge(ids[1], 41)))
	w.says(payment.Declined)(w.till.Query(ctx, ids[1]))
	w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[2], 40)))
	w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[3], 0))) // a free order
	if _, err := w.till.Charge(ctx, charge(ids[2], 41)); !errs.Is(err, errs.KeyReused) {
		t.Errorf("another amount under the id: %v", err)
	}
	w.has(0)
}

// A charge that sleeps until its payment is given up takes nothing; one that was there first is found and kept.
func TestVoidMeetsCharge(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, "ann", 1000), t.Context()
	w.says(payment.Declined)(w.till.Void(ctx, ids[0]))
	w.says(payment.Declined)(w.till.Charge(ctx, charge(ids[0], 10)))
	w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[1], 10)))
	w.says(payment.Taken)(w.till.Void(ctx, ids[1]))
	var g sync.WaitGroup
	got := make([]payment.Status, 2)
	g.Go(func() { r, err := w.till.Charge(ctx, charge(ids[2], 10)); got[0] = r.Status; check(t, err) })
	g.Go(func() { r, err := w.till.Void(ctx, ids[2]); got[1] = r.Status; check(t, err) })
	g.Wait()
	if got[0] != got[1] {
		t.Errorf("the charge says %v, the void %v", got[0], got[1])
	}
}

func check(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

// Refunds give back what was paid, each once and no more in all.
func TestRefund(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, "ann", 100), t.Context()
	w.says(payment.Taken)(w.till.Charge(ctx, charge(ids[0], 100)))
	back := func(refund, of ident.ID, amount int64) (payment.Result, error) {
		return w.till.Refund(ctx, payment.RefundCall{Refund: refund, Payment: of, Amount: amount, Currency: "EUR"})
	}
	w.says(payment.Returned)(back(ids[1], ids[0], 70))
	w.says(payment.Returned)(back(ids[1], ids[0], 70))
	w.says(payment.Declined)(back(ids[2], ids[0], 31))
	w.says(payment.Returned)(back(ids[3], ids[0], 30))
	w.says(payment.Declined)(back(ids[4], ids[5], 1))
	w.has(100)
}

// What only the sandbox understands is refused, and nobody can report to a till.
func TestNotASandbox(t *testing.T) {
	t.Parallel()
	w := setup(t, "ann", 1)
	if err := w.till.Check(payment.Begin{}); err != nil {
		t.Error(err)
	}
	for _, b := range []payment.Begin{{Outcome: "fail"}, {After: 1}} {
		if err := w.till.Check(b); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	if _, err := w.till.Event(nil, []byte(`{}`)); err == nil {
		t.Error("a callback was believed")
	}
}
