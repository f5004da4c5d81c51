package payment_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/order/payment/statement"
	"penstock/order/payment/transfer"
)

// ledger is payments as a statement is checked against them.
type ledger struct{ *payment.Payments }

func (l ledger) Compare(ctx context.Context, provider string, lines []statement.Line) ([]statement.Difference, error) {
	return statement.Compare(ctx, l, provider, lines)
}

func (w *world) check(text, provider string) (found []statement.Difference, total statement.Totals) {
	w.t.Helper()
	total, err := statement.Check(w.t.Context(), ledger{w.pay.Load()}, statement.Options{Provider: provider, Day: w.clk.Now(), Dir: w.t.TempDir()},
		strings.NewReader(text), func(d statement.Difference) error { found = append(found, d); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return found, total
}

// The sandbox's own statement, as CSV and as NDJSON, agrees with the ledger line by line and to the unit; each kind of difference
// that is planted is found with what to do about it, and nothing else.
func testStatement(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.step = 200 * time.Millisecond
	w.clk.Advance(time.Hour) // away from midnight
	var pays []payment.Payment
	for i := range 6 {
		pays = append(pays, w.begin(w.shop.sell(fmt.Sprint("u", i)), fmt.Sprint("u", i), sandbox.Capture))
	}
	w.settled()
	if _, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: pays[0].Order, User: "u0", Key: "r", Amount: 500}); err != nil {
		t.Fatal(err)
	}
	fetch := func(format string) string {
		resp, err := http.Get(w.prov.URL + "/statement?day=" + w.clk.Now().Format(time.DateOnly) + "&format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %v: %s", resp.StatusCode, err, text)
		}
		return string(text)
	}
	for _, format := range []string{"csv", "ndjson"} {
		found, total := w.check(fetch(format), "sandbox")
		if len(found) != 0 || total.Lines != 7 || total.There.Captured["EUR"] != 6*price || total.Here.Captured["EUR"] != 6*price ||
			total.There.Refunded["EUR"] != 500 || total.Here.Refunded["EUR"] != 500 {
			t.Errorf("%s: %+v %+v", format, found, total)
		}
	}
	lines := strings.Split(strings.TrimSpace(fetch("csv")), "\n")
	pending := w.begin(w.shop.sell("p"), "p", sandbox.Lose)
	lines[2] = strings.Replace(lines[2], "1999", "1998", 1)         // other amount
	lines[3] = strings.Replace(lines[3], "captured", "failed", 1)   // other state
	lines = append(lines[:4], lines[5:]...)                         // missing there
	lines = append(lines, lines[1], "capture,x9,,,5,EUR,captured,", // duplicate, missing here
		"capture,x8,"+pending.ID.String()+",,1999,EUR,captured,") // we do not know yet
	found, _ := w.check(strings.Join(lines, "\n"), "sandbox")
	kinds := map[string]int{}
	for _, d := range found {
		kinds[d.Kind]++
		if d.Do == "" || d.Here == "" || d.There == "" {
			t.Errorf("%+v does not say enough", d)
		}
	}
	want := map[string]int{statement.OtherAmount: 1, statement.OtherState: 2, statement.MissingThere: 1, statement.Duplicate: 1, statement.MissingHere: 1}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("found %v, planted %v: %+v", kinds, want, found)
	}
	for _, bad := range []string{"type,ref\n", "type,ref,amount,currency\nloan,x,1,EUR\n", "type,ref,amount,currency\ncapture,x,one,EUR\n", "{\"type\":1}\n"} {
		err := statement.Read(strings.NewReader(bad), func(statement.Line) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A bank transfer is paid when the statement's line arrives and not before, once however often the line comes; without one the
// payment fails with its claim, and money that comes then is late; a refund is done when the bank says that it sent it.
func testTransfer(t *testing.T, on engine, open func(*testing.T) sqldb.Store) {
	w := setup(t, on, nil)
	db := open(t)
	bank := transfer.Over(db)
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	p, err := payment.Over(t.Context(), w.on.open(t, w.where, nil), payment.Deps{
		Orders: w.shop, Stock: w.shop, Providers: map[string]payment.Provider{"transfer": bank, "sandbox": w.client},
	}, payment.Options{Clock: w.clk})
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.pay.Store(p)
	begin := func(user string) payment.Payment {
		got, _, err := p.Begin(t.Context(), payment.Begin{Order: w.shop.sell(user), User: user, Key: "k", Method: "transfer"})
		if err != nil || got.State != payment.Pending {
			t.Fatalf("%v %v", got, err)
		}
		return got
	}
	arrive := func(of ident.ID, l statement.Line) {
		for range 2 {
			if err := bank.Book(t.Context(), []statement.Line{l}); err != nil {
				t.Fatal(err)
			}
			if err := p.Nudge(t.Context(), of); err != nil {
				t.Error(err)
			}
		}
	}
	paid, never := begin("a"), begin("b")
	arrive(paid.ID, statement.Line{Type: statement.Capture, Ref: "B1", Payment: paid.ID.String(), Amount: price, Currency: "EUR"})
	if got := w.payment(paid); got.State != payment.Captured || got.ProviderRef != "B1" || w.order(paid.Order).State != order.Paid {
		t.Errorf("%+v, the order is %s", got, w.order(paid.Order).State)
	}
	w.shop.expire(never.Order)
	w.until("the payment without money fails", func() bool { return w.payment(never).State == payment.Failed })
	if err := bank.Book(t.Context(), []statement.Line{{Type: statement.Capture, Ref: "B2", Payment: never.ID.String(), Amount: price, Currency: "EUR"}}); err != nil {
		t.Fatal(err)
	}
	ev := payment.Event{Payment: never.ID, Result: payment.Result{Status: payment.Taken, Ref: "B2", Amount: price, Currency: "EUR"}}
	if err := p.Learn(t.Context(), "transfer", ev); err != nil || w.payment(never).State != payment.Refunding {
		t.Errorf("late transfer: %v, %s", err, w.payment(never).State)
	}
	back := w.refundOf(never)
	arrive(back, statement.Line{Type: statement.Refund, Ref: "B3", Payment: never.ID.String(), Refund: back.String(), Amount: price, Currency: "EUR"})
	if got := w.payment(never); got.State != payment.Refunded || got.Refunded != price {
		t.Errorf("after the bank sent it back: %+v", got)
	}
	found, total := w.check("type,ref,payment,refund,amount,currency\ncapture,B1,"+paid.ID.String()+",,1999,EUR\ncapture,B2,,,1999,EUR\nrefund,B3,,"+back.String()+",1999,EUR\n", "transfer")
	if len(found) != 0 || total.There.Captured["EUR"] != 2*price || total.There.Refunded["EUR"] != price {
		t.Errorf("%+v %+v", found, total)
	}
}

// refundOf is the id of the refund of a payment's money that may not stay: the one the bank has to send.
func (w *world) refundOf(p payment.Payment) ident.ID {
	w.t.Helper()
	all, err := w.pay.Load().Refunds(w.t.Context(), p.ID)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%d refunds, %v", len(all), err)
	}
	return all[0].ID
}

// Bank transfers over SQLite.
func TestTransferOnSQLite(t *testing.T) {
	t.Parallel()
	testTransfer(t, onSQLite, func(t *testing.T) sqldb.Store {
		db, err := sqldb.OpenFile(t.Context(), filepath.Join(t.TempDir(), "transfer.db"), transfer.Schema(), groupcommit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	})
}

// transferOnMySQL is the same over a database that processes share.
func transferOnMySQL(t *testing.T, on engine) {
	t.Parallel()
	testTransfer(t, on, func(t *testing.T) sqldb.Store {
		c, err := mysql.Parse(on.place(t))
		if err != nil {
			t.Fatal(err)
		}
		db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 4})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		s, err := sqldb.OpenShared(t.Context(), db, transfer.Schema(), sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
