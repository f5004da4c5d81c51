package overload

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// With two, five, ten and twenty times as many attempts as it may take, it goes on taking nearly as many as it may; whoever is
// refused is told so, that nothing was executed and when to come back; and after the spike all is as before.
func TestGoodput(t *testing.T) {
	factors := []int{1, 2, 5, 10, 20, 1}
	calls := 0
	for _, f := range factors {
		calls += int(float64(f*capacity)*length().Seconds()) + 2
	}
	s := open(t, calls)
	if err := s.Offer("flash", calls, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	var all []outcome
	won := 0
	for _, f := range factors {
		o := s.attempts(f * capacity)
		for i, w := range o.wrong {
			if i < 3 {
				t.Errorf("at %d ×: an answer that says neither yes nor no: %s", f, w)
			}
		}
		won += o.won
		t.Logf("measured: %2d × offered %.0f/s: %.0f/s won, %d refused, p99 of a refusal %v, %d others", f, o.offered, o.goodput, o.refused, o.p99().Round(time.Millisecond), len(o.wrong))
		all = append(all, o)
	}
	base := all[0].goodput
	for i, want := range map[int]float64{1: 0.9, 2: 0.8, 3: 0.8} {
		f := factors[i]
		if offered := float64(f * capacity); all[i].offered < 0.9*offered {
			t.Errorf("at %d ×: not run: this machine offered %.0f/s of %.0f/s", f, all[i].offered, offered)
			continue
		}
		if all[i].goodput < want*base {
			t.Errorf("at %d ×: %.0f/s won, %.2f of the %.0f/s at 1 ×; want %.1f", f, all[i].goodput, all[i].goodput/base, base, want)
		}
	}
	if last := all[len(all)-1]; last.goodput < 0.9*base {
		t.Errorf("after the spike: %.0f/s won of %.0f/s before", last.goodput, base)
	}
	if p := all[3].p99(); full() && p > 100*time.Millisecond {
		t.Errorf("at 10 ×: one refusal in a hundred took longer than %v", p)
	}
	s.sold(won)
}

// sold checks that the stock says what the buyers were told.
func (s *shop) sold(won int) {
	s.t.Helper()
	code, body, err := s.Admin(http.MethodGet, "/admin/v1/stock?sale=flash", nil)
	var got struct {
		Items []struct{ Held, Sold, Available, Offered int }
	}
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	if err != nil || code != http.StatusOK || len(got.Items) != 1 || got.Items[0].Held+got.Items[0].Sold != won || got.Items[0].Available+won != got.Items[0].Offered {
		s.t.Errorf("%d were told yes; the stock says %s (%d, %v)", won, body, code, err)
	}
}

// While twenty times the capacity is asked for by those who only look around, those who buy get through: they attempt, pay, and
// read their paid orders.
func TestCheckoutGoesThrough(t *testing.T) {
	const rate = capacity / 20 // each checkout is some seven calls
	flows := int(rate * length().Seconds())
	s := open(t, flows+2)
	if err := s.Offer("flash", flows+2, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	var looked, turned atomic.Int64
	var searching sync.WaitGroup
	searching.Go(func() {
		looker := s.tokens[flows+1]
		openLoop(20*capacity, length()+time.Second, func(int) {
			switch r := s.call(looker, http.MethodGet, "/v1/sales", ""); r.status {
			case http.StatusOK:
				looked.Add(1)
			case http.StatusServiceUnavailable:
				turned.Add(1)
			default:
				t.Errorf("looking around: %d %s", r.status, r.body)
			}
		})
	})
	time.Sleep(300 * time.Millisecond) // the search has begun
	var paid, failed atomic.Int64
	openLoop(rate, length(), func(i int) {
		if err := s.checkout(s.tokens[i]); err != nil {
			failed.Add(1)
			t.Logf("a checkout failed: %v", err)
			return
		}
		paid.Add(1)
	})
	searching.Wait()
	t.Logf("measured: %d of %d checkouts; %d looked around, %d were refused", paid.Load(), flows, looked.Load(), turned.Load())
	if turned.Load() < 10*looked.Load() {
		t.Errorf("not run: %d of %d who looked around were refused, so there was no overload", turned.Load(), turned.Load()+looked.Load())
	}
	if paid.Load()*100 < int64(flows)*99 {
		t.Errorf("%d of %d checkouts went through", paid.Load(), flows)
	}
}

// checkout attempts, pays, and reads the order until it is paid. Nothing is tried twice.
func (s *shop) checkout(token string) error {
	r := s.call(token, http.MethodPost, "/v1/sales/flash/attempts", `{"sku":"sku-1","quantity":1}`)
	var won struct{ Order string }
	if r.status != http.StatusCreated || json.Unmarshal(r.body, &won) != nil {
		return fmt.Errorf("attempt: %d %s", r.status, r.body)
	}
	return s.pay(token, won.Order)
}

// pay pays for an order and reads it until it is paid.
func (s *shop) pay(token, order string) error {
	var r reply
	path := "/v1/orders/" + order
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(500 * time.Millisecond) { // the order is written a moment later
		r = s.call(token, http.MethodPost, path+"/payments", `{"method":"sandbox"}`)
		if r.status != http.StatusNotFound || time.Now().After(deadline) {
			break
		}
	}
	if r.status != http.StatusCreated {
		return fmt.Errorf("payment: %d %s", r.status, r.body)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		var o struct{ State string }
		r = s.call(token, http.MethodGet, path, "")
		if r.status != http.StatusOK || json.Unmarshal(r.body, &o) != nil {
			return fmt.Errorf("order: %d %s", r.status, r.body)
		}
		if o.State == "paid" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the order is still %s", o.State)
		}
	}
}
