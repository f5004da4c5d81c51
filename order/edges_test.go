package order

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	bus "penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// Only the edges of the design are legal, and what has ended stays ended.
func TestEdgesAreTheDesigns(t *testing.T) {
	t.Parallel()
	all := []State{"", Accepted, PendingPayment, Paid, Fulfilled, Cancelled, Expired, Refunded}
	want := map[State][]State{
		"": {Accepted}, Accepted: {PendingPayment, Cancelled, Expired}, PendingPayment: {Paid, Cancelled, Expired},
		Paid: {Fulfilled, Refunded}, Fulfilled: {Refunded}, Expired: {Paid},
	}
	for _, from := range all {
		for _, to := range all {
			if Legal(from, to) != slices.Contains(want[from], to) {
				t.Errorf("Legal(%q, %q) = %v", from, to, Legal(from, to))
			}
			steps, err := path(from, to)
			state := from
			for _, s := range steps {
				if !Legal(state, s) {
					t.Errorf("path(%q, %q) = %q steps illegally", from, to, steps)
				}
				state = s
			}
			if err == nil && len(steps) > 0 && state != to || err != nil && !errs.Is(err, errs.IllegalTransition) {
				t.Errorf("path(%q, %q) = %q, %v", from, to, steps, err)
			}
		}
	}
	for _, later := range []State{PendingPayment, Paid, Fulfilled, Cancelled, Expired, Refunded} {
		if steps, err := path(later, PendingPayment); len(steps) != 0 || err != nil {
			t.Errorf("a late %q takes an order that is %q to %q, %v", PendingPayment, later, steps, err)
		}
	}
	for _, unpaid := range []State{Accepted, PendingPayment} {
		if steps, err := path(unpaid, Fulfilled); err == nil {
			t.Errorf("an order that is %q becomes fulfilled by %q", unpaid, steps)
		}
	}
	for _, ended := range []State{Cancelled, Expired} {
		for _, to := range []State{Accepted, Paid, Fulfilled, Refunded, Cancelled, Expired} {
			if _, err := path(ended, to); (err == nil) != (ended == to) {
				t.Errorf("path(%q, %q): %v", ended, to, err)
			}
		}
	}
}

// model is what one order should be, told from its claim and the acts that succeeded.
type model struct {
	claim     *driver.Attempt
	state     State
	refunded  int64
	fulfilled bool
}

// expect is the state that follows from the claim and what was done since.
func (m *model) expect(c *claims) State {
	a, _ := c.Claim(context.Background(), m.claim.ID)
	switch {
	case a.State == driver.Released && a.Why == stock.WhyRefunded, m.refunded > 0 && m.refunded == m.claim.Amount, m.state == Refunded:
		return Refunded
	case a.State == driver.Sold && m.fulfilled:
		return Fulfilled
	}
	to, err := target(a.State, a.Why)
	if err != nil {
		panic(err)
	}
	return to
}

// Whatever is paid, cancelled, expired, fulfilled, refunded and delivered in whatever order and however often, each order ends
// where its claim and its refunds say, with legal events numbered without gap.
func TestLifecycleModel(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		var m [3]model
		first := len(b.claims.messages())
		for i := range m {
			n++
			m[i] = model{claim: b.claims.win(fmt.Sprintf("model-%d", n))}
		}
		one := rapid.Custom(func(t *rapid.T) *model { return &m[rapid.IntRange(0, len(m)-1).Draw(t, "order")] })
		t.Repeat(map[string]func(*rapid.T){
			"deliver": func(t *rapid.T) {
				msgs := b.claims.messages()[first:]
				some := rapid.SliceOfN(rapid.SampledFrom(msgs), 1, 6).Draw(t, "messages")
				for _, err := range b.Handle(ctx, some) {
					if err != nil {
						t.Fatal(err)
					}
				}
			},
			"pay":    func(t *rapid.T) { _, _ = b.claims.sell(one.Draw(t, "which").claim.ID) },
			"expire": func(t *rapid.T) { release(b.claims, one.Draw(t, "which"), driver.Held, stock.WhyExpired) },
			"return": func(t *rapid.T) { release(b.claims, one.Draw(t, "which"), driver.Sold, stock.WhyRefunded) },
			"follow": func(t *rapid.T) {
				o := one.Draw(t, "which")
				a, _ := b.claims.Claim(ctx, o.claim.ID)
				got, err := b.Follow(ctx, a)
				if err != nil || got.State != o.expect(b.claims) {
					t.Fatalf("following a claim that is %s %s: %s, %v", a.State, a.Why, got.State, err)
				}
			},
			"cancel": func(t *rapid.T) {
				o := one.Draw(t, "which")
				got, err := b.Cancel(ctx, o.claim.Key.User, o.claim.ID, o.claim.Key.User, "changed my mind", "")
				may := o.expect(b.claims) == Cancelled
				if may != (err == nil) || err == nil && got.State != Cancelled || err != nil && !errs.Is(err, errs.IllegalTransition) {
					t.Fatalf("cancelling: %v, the claim says %s", err, o.expect(b.claims))
				}
			},
			"fulfil": func(t *rapid.T) {
				o := one.Draw(t, "which")
				_, err := b.Fulfil(ctx, o.claim.ID, "op", "sent")
				o.fulfilled = o.fulfilled || err == nil
				if err != nil && !errs.Is(err, errs.IllegalTransition) {
					t.Fatal(err)
				}
			},
			"refund": func(t *rapid.T) { drawRefund(t, b, one.Draw(t, "which")) },
			"wait":   func(*rapid.T) { b.clk.Advance(time.Second) },
			"": func(t *rapid.T) {
				for i := range m {
					if err := wellFormed(b.get(m[i].claim.ID)); err != nil {
						t.Fatal(err)
					}
				}
			},
		})
		for _, err := range b.Handle(ctx, b.claims.messages()[first:]) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range m {
			if o := b.get(m[i].claim.ID); o.State != m[i].expect(b.claims) || o.Refunded != m[i].refunded {
				t.Fatalf("order ends %s with %d refunded, not %s with %d", o.State, o.Refunded, m[i].expect(b.claims), m[i].refunded)
			}
		}
	})
}

func release(c *claims, m *model, from driver.ClaimState, why string) {
	_, _ = c.Release(context.Background(), m.claim.ID, from, why, "")
}

func drawRefund(t *rapid.T, b *bundle, m *model) {
	amount := rapid.SampledFrom([]int64{1, 40000, 60000, 100000}).Draw(t, "amount")
	before := b.get(m.claim.ID)
	got, err := b.AddRefund(context.Background(), m.claim.ID, Refund{Amount: amount, Before: before.Refunded, Why: "broken"})
	left := m.claim.Amount - m.refunded
	switch {
	case err == nil:
		m.refunded += amount
		if got.Refunded != m.refunded || m.refunded == m.claim.Amount && got.State != Refunded || amount > left {
			t.Fatalf("refunded %d of %d: %+v", amount, left, got)
		}
		if got.State == Refunded {
			m.state = Refunded
		}
	case errs.Is(err, errs.RefundTooLarge):
		if amount <= left {
			t.Fatalf("%d of %d were too much: %v", amount, left, err)
		}
	case !errs.Is(err, errs.IllegalTransition) || slices.Contains([]State{Paid, Fulfilled, Refunded}, before.State):
		t.Fatalf("refunding an order that is %s: %v", before.State, err)
	}
}

// However the messages of one order come, twice, late or the wrong way round, it ends in the one right state.
func TestAnyOrderOfDeliveryEndsTheSame(t *testing.T) {
	t.Parallel()
	anyOrderOfDeliveryEndsTheSame(t, setup)
}

func anyOrderOfDeliveryEndsTheSame(t *testing.T, setup setupFunc) {
	b := setup(t, Options{})
	ends := map[string]struct {
		do   func(id ident.ID)
		want []State
	}{
		"sold":      {func(id ident.ID) { b.claims.sell(id) }, []State{Accepted, PendingPayment, Paid}},
		"cancelled": {b.releaser(driver.Held, stock.WhyCancelled), []State{Accepted, PendingPayment, Cancelled}},
		"expired":   {b.releaser(driver.Held, stock.WhyExpired), []State{Accepted, PendingPayment, Expired}},
		"refunded": {func(id ident.ID) {
			b.claims.sell(id)
			b.releaser(driver.Sold, stock.WhyRefunded)(id)
		}, []State{Accepted, PendingPayment, Paid, Refunded}},
	}
	for name, end := range ends {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1, 0, 2, 1}, {0, 0, 1, 1, 2, 2}} {
			a := b.claims.win(fmt.Sprintf("%s-%v", name, order))
			b.clk.Advance(time.Second)
			end.do(a.ID)
			var msgs []bus.Message
			for _, m := range b.claims.messages() {
				if m.Key == a.ID.String() {
					msgs = append(msgs, m)
				}
			}
			for _, i := range order {
				b.clk.Advance(time.Second)
				if i < len(msgs) {
					b.handle(msgs[i])
				}
			}
			o := b.get(a.ID)
			if err := wellFormed(o); err != nil || !slices.Equal(states(o), end.want) {
				t.Errorf("%s delivered as %v: %v, %v", name, order, states(o), err)
			}
		}
	}
}

func (b *bundle) releaser(from driver.ClaimState, why string) func(ident.ID) {
	return func(id ident.ID) {
		if _, err := b.claims.Release(context.Background(), id, from, why, ""); err != nil {
			b.t.Fatal(err)
		}
	}
}
