package order

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// until lets the clock run until cond holds.
func (b *bundle) until(cond func() bool) {
	b.t.Helper()
	for !cond() {
		if b.t.Context().Err() != nil {
			b.t.Fatal("the test ended before the condition held")
		}
		b.clk.Advance(10 * time.Millisecond)
		runtime.Gosched()
	}
}

// Five thousand claims that are due at once are all released and their orders expired, whether or not they had a row, and
// nothing happens before their time.
func TestThousandsDueAtOnce(t *testing.T) {
	t.Parallel()
	const n = 5000
	var released, failed atomic.Int64
	b := setup(t, Options{Hooks: Hooks{Expired: func(r, _, f int) { released.Add(int64(r)); failed.Add(int64(f)) }}})
	for i := range n {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	b.handle(b.claims.messages()[:n/2]...)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(window - time.Second)
	if released.Load() != 0 {
		t.Fatalf("%d released before their time", released.Load())
	}
	b.until(func() bool { return released.Load() == n })
	b.Stop()
	var expired int
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := b.List(context.Background(), "", cursor, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			if o.State == Expired && wellFormed(o) == nil && !o.Events[2].At.Before(o.PayBefore) {
				expired++
			}
		}
		cursor = next
	}
	if expired != n || failed.Load() != 0 {
		t.Errorf("%d of %d orders expired, %d failures", expired, n, failed.Load())
	}
}

// A claim that cannot be released now is tried again in the next rounds and keeps nobody behind it waiting.
func TestExpiryTriesAgain(t *testing.T) {
	t.Parallel()
	var rounds atomic.Int64
	b := setup(t, Options{Hooks: Hooks{Expired: func(_, _, _ int) { rounds.Add(1) }}})
	const n, stuck = burst + 60, burst + 5
	for i := range n {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	bad := map[ident.ID]int{}
	due, _ := b.claims.Due(t.Context(), b.clk.Now().Add(window), stuck)
	for _, id := range due {
		bad[id] = 3
	}
	b.claims.fail = func(_ string, id ident.ID) error {
		if bad[id] > 0 {
			bad[id]--
			return errs.New(errs.Unknown, "no answer")
		}
		return nil
	}
	b.clk.Advance(window)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		due, _ := b.claims.Due(context.Background(), b.clk.Now(), n)
		return len(due)
	}
	b.until(func() bool { return rounds.Load() >= 1 })
	if l := left(); l > stuck {
		t.Errorf("after the first round %d claims are left, %d of them could be released", l, l-stuck)
	}
	b.until(func() bool { return left() == 0 })
	if r := rounds.Load(); r < 3 {
		t.Errorf("it took %d rounds to get past three failures", r)
	}
}

// Windows that end while the process is down are dealt with at the next start.
func TestRestartInMidWindow(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	b.handle(b.claims.messages()...)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(window / 2)
	b.Stop()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(Options{})
	b.clk.Advance(window)
	if o := b.get(a.ID); o.State != PendingPayment {
		t.Fatalf("while nobody looks, the order is %s", o.State)
	}
	if err := errors.Join(b.Start(t.Context()), b.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	for b.get(a.ID).State != Expired {
		runtime.Gosched()
	}
}

// Paying, cancelling and expiring at the same time have one winner: the claim and the order agree, the others are told so, and
// the messages that come later change nothing.
func TestRacesHaveOneWinner(t *testing.T) {
	t.Parallel()
	racesHaveOneWinner(t, setup)
}

func racesHaveOneWinner(t *testing.T, setup setupFunc) {
	const n = 150
	b := setup(t, Options{})
	ctx := t.Context()
	for i := range n {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	held := b.claims.messages()
	b.handle(held[:n/2]...)
	b.clk.Advance(window)
	wins := map[State]int{}
	for i := range n {
		id, _ := ident.Parse(held[i].Key)
		var wg sync.WaitGroup
		var won [3]bool
		for who, try := range []func() bool{
			func() bool {
				res, err := b.claims.sell(id)
				if err == nil {
					_, err = b.Follow(ctx, res.Claim)
				}
				return err == nil && res.Moved
			},
			func() bool {
				_, err := b.Cancel(ctx, "", id, "", "", "")
				return err == nil
			},
			func() bool {
				r, _ := b.release(ctx, []ident.ID{id}, map[ident.ID]bool{})
				return r == 1
			},
		} {
			if who == i%3 {
				continue // two at a time: pay and expire, pay and cancel, cancel and expire
			}
			wg.Go(func() { won[who] = try() })
		}
		wg.Wait()
		o := b.get(id)
		want := map[State]int{Paid: 0, Cancelled: 1, Expired: 2}[o.State]
		claim, _ := b.claims.Claim(ctx, id)
		to, err := target(claim.State, claim.Why)
		if err != nil || o.State != to || wellFormed(o) != nil || o.Version != 3 {
			t.Fatalf("the claim is %s %s, the order %+v", claim.State, claim.Why, o)
		}
		for who := range won {
			if won[who] != (who == want) {
				t.Fatalf("the order is %s; told of success: pay %v, cancel %v, expire %v", o.State, won[0], won[1], won[2])
			}
		}
		wins[o.State]++
	}
	b.handle(b.claims.messages()...)
	for _, m := range held {
		id, _ := ident.Parse(m.Key)
		if o := b.get(id); o.Version != 3 {
			t.Fatalf("late messages made version %d of %+v", o.Version, o)
		}
	}
	t.Logf("winners: %v", wins)
}

// A claim that was sold in time is not expired, however late anyone looks.
func TestPaidOrdersDoNotExpire(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	if _, err := b.claims.sell(a.ID); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(2 * window)
	if r, g := b.release(t.Context(), []ident.ID{a.ID}, map[ident.ID]bool{}); r != 0 || g != 1 {
		t.Errorf("%d released, %d had gone elsewhere", r, g)
	}
	if o := b.get(a.ID); o.State != Paid {
		t.Errorf("the order is %s", o.State)
	}
	if res, err := b.claims.Release(t.Context(), a.ID, driver.Held, stock.WhyExpired, ""); err != nil || res.Moved {
		t.Errorf("the claim was let go: %v", err)
	}
}
