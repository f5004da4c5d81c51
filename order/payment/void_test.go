package payment_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"penstock/balance"
	"penstock/balance/till"
	"penstock/engine/groupcommit"
	"penstock/internal/ident"
	"penstock/order/payment"
)

// sleepy is a till whose charges do not arrive while it is asked to, and whose queries then find nothing.
type sleepy struct {
	till.Till
	asleep *atomic.Bool
	last   *atomic.Pointer[payment.Charge]
}

func (s sleepy) Charge(ctx context.Context, c payment.Charge) (payment.Result, error) {
	s.last.Store(&c)
	if s.asleep.Load() {
		return payment.Result{}, errors.New("the charge is on its way")
	}
	return s.Till.Charge(ctx, c)
}

func (s sleepy) Query(ctx context.Context, id ident.ID) (payment.Result, error) {
	if s.asleep.Load() {
		return payment.Result{Status: payment.Absent}, nil
	}
	return s.Till.Query(ctx, id)
}

// A payment that is given up is voided first: a charge that slept takes nothing later, and one that arrived unseen goes back.
func TestGivenUpIsVoided(t *testing.T) {
	t.Parallel()
	w := setup(t, onSQLite, nil)
	s, err := balance.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "balances.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := balance.New(s, balance.Options{})
	t.Cleanup(func() { b.Close() })
	if _, _, err := b.Post(t.Context(), balance.Move{Once: "k", Kind: balance.TopUp, User: "u", Currency: "EUR", Amount: 2 * price}); err != nil {
		t.Fatal(err)
	}
	prov := sleepy{till.New(b), &atomic.Bool{}, &atomic.Pointer[payment.Charge]{}}
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	p, err := payment.Over(t.Context(), w.on.open(t, w.where, nil), payment.Deps{
		Orders: w.shop, Stock: w.shop, Providers: map[string]payment.Provider{till.Name: prov, "sandbox": w.client},
	}, payment.Options{Clock: w.clk, Late: payment.LateRefund})
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.pay.Store(p)
	for arrived, want := range map[bool]payment.State{false: payment.Failed, true: payment.Refunded} {
		prov.asleep.Store(true)
		order := w.shop.sell("u")
		pay, _, err := p.Begin(t.Context(), payment.Begin{Order: order, User: "u", Key: "k", Method: till.Name})
		if err != nil || pay.State != payment.Pending {
			t.Fatalf("%+v %v", pay, err)
		}
		if arrived {
			if _, err := prov.Till.Charge(t.Context(), *prov.last.Load()); err != nil {
				t.Fatal(err)
			}
		}
		w.clk.Advance(61 * time.Second)
		w.shop.expire(order)
		w.until("the payment is given up", func() bool { return w.payment(pay).State == want })
		if res, err := prov.Till.Charge(t.Context(), *prov.last.Load()); err != nil || (res.Status == payment.Taken) != arrived {
			t.Errorf("the charge that slept: %+v %v", res, err)
		}
		if all, err := b.Standings(t.Context(), "u"); err != nil || all[0].Balance != 2*price {
			t.Errorf("arrived %v: u has %+v, %v", arrived, all, err)
		}
	}
}
