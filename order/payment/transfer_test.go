package payment_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/statement"
	"penstock/order/payment/transfer"
)

// branchOffice is one process over shared payments and shared lines of the bank.
type branchOffice struct {
	bank *transfer.Provider
	pay  *payment.Payments
}

func openOffice(t *testing.T, w *world, node int) branchOffice {
	t.Helper()
	c, err := mysql.Parse(w.where)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := sqldb.OpenShared(t.Context(), db, transfer.Schema(), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := branchOffice{bank: transfer.Over(s)}
	o.pay, err = payment.Over(t.Context(), w.on.open(t, w.where, nil), payment.Deps{
		Orders: w.shop, Stock: w.shop, Providers: map[string]payment.Provider{"transfer": o.bank, "sandbox": w.client},
	}, payment.Options{Clock: w.clk, Node: node})
	if err == nil {
		err = o.pay.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.pay.Stop(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func idOf(text string) ident.ID {
	id, err := ident.Parse(text)
	if err != nil {
		panic(err) // the tests write only ids
	}
	return id
}

// take takes lines in as an operator's call does; a call that is told that nothing is certain is made again.
func (o branchOffice) take(t *testing.T, lines []statement.Line) {
	for try := 0; ; try++ {
		err := o.bank.Book(t.Context(), lines)
		for _, l := range lines {
			if err == nil && l.Type == statement.Capture {
				err = o.pay.Learn(t.Context(), "transfer", payment.Event{Payment: idOf(l.Payment), Result: payment.Result{Status: payment.Taken, Ref: l.Ref, Amount: l.Amount, Currency: l.Currency}})
			} else if err == nil {
				err = o.pay.Nudge(t.Context(), idOf(l.Refund))
			}
		}
		switch {
		case err == nil:
			return
		case try == 3 || !errs.Is(err, errs.Unknown) && !errs.Is(err, errs.ReducedCapacity):
			t.Error(err)
			return
		}
	}
}

// Two processes that take in the same statement at the same time, in opposite order, keep each line once, capture each payment
// once and give each refund back once, whichever of them began it; a second transfer for a payment is a case.
func testTransferInTwoProcesses(t *testing.T, on engine) {
	w := setup(t, on, nil)
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	offices := [2]branchOffice{openOffice(t, w, 0), openOffice(t, w, 1)}
	w.pay.Store(offices[0].pay)
	w.clk.Advance(time.Hour) // away from midnight
	const many = 40
	var pays []payment.Payment
	var lines []statement.Line
	for i := range many {
		user := fmt.Sprint("u", i)
		p, _, err := offices[i%2].pay.Begin(t.Context(), payment.Begin{Order: w.shop.sell(user), User: user, Key: "k", Method: "transfer"})
		if err != nil {
			t.Fatal(err)
		}
		pays = append(pays, p)
		lines = append(lines, statement.Line{Type: statement.Capture, Ref: fmt.Sprint("B", i), Payment: p.ID.String(), Amount: price, Currency: "EUR"})
	}
	lines = append(lines, statement.Line{Type: statement.Capture, Ref: "B-again", Payment: pays[0].ID.String(), Amount: price, Currency: "EUR"})
	both := func(lines []statement.Line) {
		var all sync.WaitGroup
		for i := range 2 {
			mine := slices.Clone(lines)
			if i == 1 {
				slices.Reverse(mine)
			}
			for part := range slices.Chunk(mine, 10) {
				all.Go(func() { offices[i].take(t, part) })
			}
		}
		all.Wait()
	}
	both(lines)
	for _, p := range pays {
		if got := w.payment(p); got.State != payment.Captured || got.Captured != price {
			t.Errorf("payment %s: %+v", p.ID, got)
		}
	}
	open, err := offices[1].pay.Cases(t.Context(), 0, 100)
	if err != nil || len(open) != 1 || open[0].Kind != payment.CaseSecondCapture || open[0].Payment != pays[0].ID {
		t.Errorf("the cases are %+v, %v", open, err)
	}
	var returns []statement.Line
	for i, p := range pays[1:] {
		_, _, err := offices[i%2].pay.Refund(t.Context(), payment.Refund{Order: p.Order, Key: "r", Amount: 500})
		if !errs.Is(err, errs.Unknown) {
			t.Fatalf("a refund that the bank has not sent: %v", err)
		}
		refund := w.refundOf(p)
		returns = append(returns, statement.Line{Type: statement.Refund, Ref: fmt.Sprint("R", i), Payment: p.ID.String(), Refund: refund.String(), Amount: 500, Currency: "EUR"})
	}
	both(returns)
	w.until("every refund is done", func() bool { n, err := offices[0].pay.InFlight(t.Context()); return err == nil && n == 0 })
	text := "type,ref,payment,refund,amount,currency\n"
	for _, l := range append(lines, returns...) {
		text += fmt.Sprintf("%s,%s,%s,%s,%d,%s\n", l.Type, l.Ref, l.Payment, l.Refund, l.Amount, l.Currency)
	}
	found, total := w.check(text, "transfer")
	if len(found) != 0 || total.There.Captured["EUR"] != (many+1)*price || total.There.Refunded["EUR"] != (many-1)*500 || total.Here.Captured["EUR"] != (many+1)*price {
		t.Errorf("%+v %+v", found, total)
	}
	for _, p := range pays[1:] {
		if o := w.order(p.Order); o.Refunded != 500 {
			t.Errorf("order %s was told of %d", o.ID, o.Refunded)
		}
	}
	if strings.Count(w.export(), "\n") != many {
		t.Errorf("the export has\n%s", w.export())
	}
}
