package order

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/outbox"
	store "penstock/order/driver"
	"penstock/stock"
	"penstock/stock/driver"
)

// Each step that others may act on is published once, numbered as its event, in the order's own transaction and order: with the
// row that is made and moved at once, and with one that is moved later. Each refund is told once, with what is
// left. A failed commit publishes nothing.
func TestTold(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	told(t, b, b.files)
}

// told is for one store, whose outboxes others may have used before.
func told(t *testing.T, b *bundle, s store.Store) {
	ctx := t.Context()
	var sources []*outbox.Source
	var before []uint64
	for _, o := range s.Outboxes() {
		src, err := outbox.New(ctx, o.DB, o.Name, Topic, outbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, at, err := src.Read(ctx, 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		sources, before = append(sources, src), append(before, at)
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first := len(b.claims.messages())
	shipped, back, no, late := b.claims.win("told ann"), b.claims.win("told bob"), b.claims.win("told cem"), b.claims.win("told dan")
	b.handle(b.claims.messages()[first:]...) // a rush publishes nothing
	for _, id := range []*driver.Attempt{shipped, back} {
		must(b.claims.sell(id.ID))
	}
	must(b.Cancel(ctx, "told cem", no.ID, "", "no", ""))
	must(b.claims.Release(ctx, late.ID, driver.Held, stock.WhyExpired, ""))
	for range 2 {
		b.handle(b.claims.messages()[first:]...)
	}
	must(b.Fulfil(ctx, shipped.ID, "op", "sent"))
	must(b.Fulfil(ctx, shipped.ID, "op", "sent"))
	for range 2 {
		must(b.AddRefund(ctx, back.ID, Refund{Amount: 40000, Why: "torn"})) // a part is no step
	}
	must(b.AddRefund(ctx, back.ID, Refund{Amount: 60000, Before: 40000, Why: "lost"}))

	got, refunds := map[string][]Told{}, []Told(nil)
	for i, src := range sources {
		msgs, _, err := src.Read(ctx, before[i], 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			var e Told
			if err := json.Unmarshal(m.Payload, &e); err == nil && m.Type == EventRefundCompleted {
				e.At = time.Time{}
				refunds = append(refunds, e)
				continue
			} else if err != nil || m.Type != "order."+string(e.State) || m.Key != e.Order || m.User != e.User || !m.At.Equal(e.At) {
				t.Errorf("message %+v: %v", m, err)
			}
			got[m.User] = append(got[m.User], e)
		}
	}
	want := map[string][]Told{}
	for _, a := range []*driver.Attempt{shipped, back, no, late} {
		o := b.get(a.ID)
		for _, e := range o.Events {
			if e.To == Accepted || e.To == PendingPayment {
				continue
			}
			refunded := int64(0)
			if e.To == Refunded {
				refunded = o.Refunded
			}
			want[o.User] = append(want[o.User], Told{
				V: 1, Order: o.ID.String(), User: o.User, Sale: o.Sale, From: e.From, State: e.To, Version: e.N, Amount: o.Amount,
				Currency: o.Currency, Refunded: refunded, Remaining: o.Amount - refunded, Why: e.Why, At: e.At,
			})
		}
	}
	if d := cmp.Diff(want, got); d != "" || len(got["told ann"]) != 2 || len(got["told bob"]) != 2 || len(got["told cem"]) != 1 || len(got["told dan"]) != 1 {
		t.Errorf("messages by buyer (-want +got):\n%s", d)
	}

	o := b.get(back.ID)
	part := Told{
		V: 1, Order: o.ID.String(), User: o.User, Sale: o.Sale, From: Paid, State: Paid, Version: 3, Amount: 100000, Currency: o.Currency,
		Refunded: 40000, Remaining: 60000, Refund: &ToldRefund{Amount: 40000}, Why: "torn",
	}
	rest := part
	rest.From, rest.State, rest.Version, rest.Refunded, rest.Remaining, rest.Refund, rest.Why = Refunded, Refunded, 4, 100000, 0, &ToldRefund{Amount: 60000}, "lost"
	if d := cmp.Diff([]Told{part, rest}, refunds); d != "" {
		t.Errorf("refunds (-want +got):\n%s", d)
	}
}
