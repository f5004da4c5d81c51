package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"penstock/errs"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/sqlitestock"
)

// seeds returns the seeds of this run: SIM_SEED for one to be looked at again, else a few.
func seeds(t *testing.T) []uint64 {
	if s := os.Getenv("SIM_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SIM_SEED is %q, want a number", s)
		}
		return []uint64{n}
	}
	return []uint64{1, 2, 3, 4, 5}
}

// Whatever a seed does to a sale (double clicks, reused keys, top-ups, pauses, cancels, payments that fail or answer late,
// commits whose reply is lost, restarts), every invariant holds afterwards, and the same seed ends in the same records.
func TestSameSeedSameResultAndEveryInvariant(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			first, second := run(t, seed), run(t, seed)
			for i := range min(len(first), len(second)) {
				if first[i] != second[i] {
					t.Fatalf("seed %d, record %d:\nfirst  %s\nsecond %s", seed, i, first[i], second[i])
				}
			}
			if len(first) != len(second) || len(first) < 100 {
				t.Errorf("seed %d left %d records and then %d", seed, len(first), len(second))
			}
		})
	}
}

// run plays one seed in simulated time and returns its records.
func run(t *testing.T, seed uint64) (records []string) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour) // simulated time begins in 2000, ids in 2024
		w := newWorld(t, seed)
		w.create()
		for range 400 {
			w.step()
			synctest.Wait()
			time.Sleep(time.Duration(w.rng.IntN(400)) * time.Millisecond)
			synctest.Wait()
		}
		w.finish()
		records = w.check()
		w.close()
		w.must(w.file.Close())
	})
	return records
}

func (w *world) create() {
	now := time.Now()
	_, err := w.sales.Create(context.Background(), "op", sale.Definition{
		ID: "s", Title: "Simulated", StartsAt: now.Add(time.Second), EndsAt: now.Add(time.Hour), PaymentWindowSeconds: 20,
		Items: []sale.ItemDefinition{
			{SKU: "a", Title: "A", Price: 100, Currency: "CNY", Stock: 12, LimitPerUser: 2},
			{SKU: "b", Title: "B", Price: 250, Currency: "CNY", Stock: 5},
		},
	})
	w.must(err)
}

// step does one seeded thing.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 45:
		w.attempt(w.newWish())
	case n < 60 && len(w.pending) > 0:
		i := w.rng.IntN(len(w.pending))
		x := w.pending[i]
		w.pending = append(w.pending[:i], w.pending[i+1:]...)
		w.attempt(x)
	case n < 72 && len(w.won) > 0:
		w.pay()
	case n < 78 && len(w.won) > 0:
		o := w.won[w.rng.IntN(len(w.won))]
		_, err := w.orders.Cancel(context.Background(), o.user, o.order, o.user, "changed my mind", "")
		w.legal(err)
	case n < 82 && len(w.won) > 0:
		w.refund()
	case n < 86:
		_, err := w.sales.Offer(context.Background(), "op", "s", "a", int64(w.rng.IntN(5)-2), "", "drill")
		w.legal(err)
	case n < 90:
		_, err := w.sales.Act(context.Background(), "op", "s", []sale.Action{sale.DoPause, sale.DoResume}[w.rng.IntN(2)], "drill")
		w.legal(err)
	case n < 95:
		w.loseReply()
	case n < 98:
		w.close()
		w.open()
	}
}

func (w *world) newWish() wish {
	user, key := w.rng.IntN(25), w.rng.IntN(6)
	x := wish{user: fmt.Sprint("u", user), key: fmt.Sprint("k", key), items: []stock.Item{{SKU: "a", Quantity: 1 + int64(user+key)%2}}}
	switch (user + 3*key) % 4 { // one key always wants the same
	case 0:
		x.items = []stock.Item{{SKU: "b", Quantity: 1}}
	case 1:
		x.items = append(x.items, stock.Item{SKU: "b", Quantity: 1})
	}
	return x
}

func (w *world) pay() {
	o := w.won[w.rng.IntN(len(w.won))]
	_, _, err := w.payments.Begin(context.Background(), payment.Begin{Order: o.order, User: o.user, Key: fmt.Sprint("p", w.rng.IntN(3)), Method: "sim"})
	w.legal(err)
}

func (w *world) refund() {
	o := w.won[w.rng.IntN(len(w.won))]
	_, _, err := w.payments.Refund(context.Background(), payment.Refund{
		Order: o.order, User: o.user, Key: fmt.Sprint("r", w.rng.IntN(2)), Amount: int64(w.rng.IntN(150)), ReturnStock: w.rng.IntN(2) == 0,
		Reason: "drill", Who: o.user,
	})
	w.legal(err)
}

// legal accepts what a caller may be told and nothing else.
func (w *world) legal(err error) {
	w.t.Helper()
	switch errs.CodeOf(err) {
	case "", errs.IllegalTransition, errs.PaymentInProgress, errs.KeyReused, errs.RefundTooLarge, errs.StockInUse, errs.Invalid, errs.Unknown,
		errs.SaleClosed, errs.ReducedCapacity:
		return
	}
	w.t.Errorf("seed %d: unexpected %v", w.seed, err)
}

// loseReply makes the next commit of the stock database fail before or after it happened.
func (w *world) loseReply() {
	point := []string{sqlitestock.FaultCommit, sqlitestock.FaultCommitted}[w.rng.IntN(2)]
	w.fault.Set(point, func(hit int) error {
		if hit == 1 {
			return errors.New("the reply is lost")
		}
		return nil
	})
}

// finish lets every wish come to its end and every unpaid hold expire.
func (w *world) finish() {
	_, err := w.sales.Act(context.Background(), "op", "s", sale.DoResume, "end of the drill")
	w.legal(err)
	for range 40 {
		again := w.pending
		w.pending = nil
		for _, x := range again {
			w.attempt(x)
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}
