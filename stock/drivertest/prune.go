package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// Pruning checks what a driver that is a [driver.Pruner] promises beside the port.
func Pruning(t *testing.T, h Harness) {
	for _, c := range []Case{
		{"pruning takes final noes and allowances alone", pruningTakesNoesAlone},
		{"a sale that was pruned answers the truth", prunedSaleAnswers},
	} {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Check(t, h)
		})
	}
}

func (d *db) tidy() {
	d.Helper()
	if d.h.Tidy != nil {
		d.h.Tidy(d, d.drv)
	}
}

// prune goes through a sale in small steps, and again, since a repeat does no harm.
func (d *db) prune(sale string) (all driver.Pruned) {
	d.Helper()
	for range 2 {
		for from, step := uint64(0), 0; step == 0 || from > 0; step++ {
			p, err := d.drv.(driver.Pruner).Prune(d.Context(), sale, from, 3)
			if err != nil {
				d.Fatalf("prune: %v", err)
			}
			all.Noes, all.Allowances, from = all.Noes+p.Noes, all.Allowances+p.Allowances, p.Next
			if step > 1000 {
				d.Fatal("pruning has no end")
			}
		}
	}
	return all
}

// Pruning a closed sale removes its final noes with their keys and entries, and nothing else: not a win, a move, a number, or anything
// of another sale; what is left is there after reopening, and numbers and ids go on behind all that ever were. An open sale keeps all.
func pruningTakesNoesAlone(t testing.TB, h Harness) {
	d := newDB(t, h)
	fill(d)
	d.sale("z", map[string]int64{"a": 9})
	for i := range 7 {
		d.bind(d.losing(driver.Key{Sale: "s", User: fmt.Sprint("loser", i), Key: "k"}, errs.SoldOut, line("a", 1), line("b", 1)))
		d.bind(d.losing(driver.Key{Sale: "z", User: fmt.Sprint("loser", i), Key: "k"}, errs.LimitReached, line("a", 1)))
	}
	var sold *driver.Attempt
	for _, id := range d.due(far, 100) {
		if a := d.claim(id); a.Key.Sale == "s" {
			sold = a
			d.move(a, driver.Sold, "")
		}
	}
	d.bind(d.losing(driver.Key{Sale: "z", User: "last", Key: "k"}, errs.SoldOut, line("a", 1)))
	if err := d.drv.Sent(t.Context(), d.snapshot().Seq); err != nil {
		t.Fatal(err)
	}
	if _, err := d.drv.(driver.Pruner).Prune(t.Context(), "s", 0, 100); !errors.Is(err, driver.ErrKept) {
		t.Errorf("pruning an open sale: %v", err)
	}
	d.mustDecide(&driver.Reads{Sales: []string{"s"}}, func(st *driver.State) *driver.Changes {
		doc := *st.Sales[0]
		doc.ClosedAt, doc.Version = doc.EndsAt, doc.Version+1
		return &driver.Changes{Sales: []driver.Sale{doc}}
	})
	d.clk.advance(100 * 24 * time.Hour)
	d.tidy()
	want := d.dump()
	want.Taken = nil
	kept := want.Journal[:0:0]
	for _, e := range want.Journal {
		if e.Kind == driver.Refuse && e.Attempt.Key.Sale == "s" {
			want.Attempts[e.Attempt.Key] = nil
			delete(want.Claims, e.Attempt.ID)
			continue
		}
		kept = append(kept, e)
	}
	want.Journal = kept
	got := func() dump {
		all := d.dump()
		all.Taken = nil
		for k := range want.Attempts { // a dump asks for the keys of the journal
			all.Attempts[k] = d.attempt(k)
		}
		return all
	}
	if p := d.prune("s"); p.Noes != 8 {
		t.Errorf("%d noes were removed, want 8", p.Noes)
	}
	same(t, "everything after pruning", got(), want)
	d.reopen()
	same(t, "everything after pruning and reopening", got(), want)
	for i := range 3 {
		ref := driver.TakenRef{Sale: "s", SKU: "a", User: fmt.Sprint("u", i)}
		d.peek(&driver.Reads{Taken: []driver.TakenRef{ref}}, func(st *driver.State) {
			if st.Taken[0] != 0 {
				t.Errorf("%v is %d", ref, st.Taken[0])
			}
		})
	}
	d.move(sold, driver.Released, "refunded")
	d.sale("y", map[string]int64{"a": 1})
	if a := d.win(driver.Key{Sale: "y", User: "u", Key: "new"}, line("a", 1)); a.Seq <= want.Seq {
		t.Errorf("a new win has number %d, and %d was in use", a.Seq, want.Seq)
	}
	checkSnapshot(t, d.snapshot(), d.journal())
}

// Pruning through the room forgets sales that ended before the time and hold nothing, each once, however small the steps are. A winner's
// key is answered as ever; who lost is told that the sale is closed, and gets nothing.
func prunedSaleAnswers(t testing.TB, h Harness) {
	d := newDB(t, h)
	st, err := stock.New(t.Context(), d.drv, stock.Options{Clock: d.clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close(context.WithoutCancel(t.Context())) })
	ask := func(sale, user string) stock.Answer {
		return st.Attempt(t.Context(), stock.Request{Sale: sale, User: user, Key: "k", Items: []stock.Item{{SKU: "a", Quantity: 1}}})
	}
	won := map[string]ident.ID{}
	for _, id := range []string{"old", "held", "young"} {
		sale := driver.Sale{ID: id, StartsAt: start.Add(-time.Hour), EndsAt: start.Add(time.Hour), Window: time.Minute, Admission: driver.AdmitOpen, Items: []driver.SaleItem{{SKU: "a", Price: 1, Currency: "CNY", Limit: 1}}}
		if id == "young" {
			sale.EndsAt = start.Add(60 * 24 * time.Hour)
		}
		if _, err := st.CreateSale(t.Context(), sale, map[string]int64{"a": 1}, driver.Audit{}); err != nil {
			t.Fatal(err)
		}
		a := ask(id, "ann")
		if a.State != stock.Won {
			t.Fatalf("ann in %s: %+v", id, a)
		}
		if won[id] = a.Attempt.ID; id != "held" {
			if _, err := st.Sell(t.Context(), a.Attempt.ID, "", ""); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				if a := ask(id, fmt.Sprint("bob", i)); a.Reason != errs.SoldOut || a.Attempt == nil {
					t.Fatalf("bob in %s: %+v", id, a)
				}
			}
		}
	}
	if err := d.drv.Sent(t.Context(), d.snapshot().Seq); err != nil {
		t.Fatal(err)
	}
	prune := func(ago time.Duration, want stock.Pruned) {
		t.Helper()
		d.tidy()
		var got stock.Pruned
		for range 20 {
			p, err := st.Prune(t.Context(), d.clk.Now().Add(-ago), 1)
			if err != nil {
				t.Fatal(err)
			}
			got.Sales, got.Noes = got.Sales+p.Sales, got.Noes+p.Noes
		}
		if got != want {
			t.Errorf("pruned %+v, want %+v", got, want)
		}
	}
	d.clk.advance(2 * time.Hour)
	prune(0, stock.Pruned{}) // never within a day
	d.clk.advance(31 * 24 * time.Hour)
	prune(32*24*time.Hour, stock.Pruned{})
	prune(30*24*time.Hour, stock.Pruned{Sales: 1, Noes: 5})
	prune(30*24*time.Hour, stock.Pruned{})
	if a := ask("old", "ann"); a.State != stock.Won || !a.Replayed || a.Attempt.ID != won["old"] {
		t.Errorf("the winner is told %+v", a)
	}
	if a := ask("old", "bob1"); a.State != stock.Lost || a.Reason != errs.SaleClosed || a.Attempt != nil {
		t.Errorf("who lost is told %+v", a)
	}
	if a, known, err := st.Lookup(t.Context(), "old", "bob1", "k"); known || err != nil {
		t.Errorf("a forgotten key is %+v, %v", a, err)
	}
	if a := ask("young", "bob1"); a.Reason != errs.SoldOut || !a.Replayed {
		t.Errorf("in a sale that goes on: %+v", a)
	}
	if _, err := st.Release(t.Context(), won["held"], driver.Held, "expired", ""); err != nil {
		t.Fatal(err)
	}
	if err := d.drv.Sent(t.Context(), d.snapshot().Seq); err != nil {
		t.Fatal(err)
	}
	prune(30*24*time.Hour, stock.Pruned{Sales: 1})
}
