package order

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// An order just won is readable before its row is written: accepted, with its first event, and nowhere yet.
func TestJustWonIsReadable(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	o, err := b.Get(t.Context(), "alice", a.ID)
	if err != nil || o.State != Accepted || o.Shard != -1 || o.Table != -1 || o.Amount != a.Amount || wellFormed(o) != nil {
		t.Errorf("%+v, %v", o, err)
	}
	// Once the claim has moved, accepted would be a lie.
	if _, err := b.claims.sell(a.ID); err != nil {
		t.Fatal(err)
	}
	if o, err = b.Get(t.Context(), "alice", a.ID); err != nil || o.State != Paid || o.Shard < 0 || wellFormed(o) != nil {
		t.Errorf("%+v, %v", o, err)
	}
}

// Another user's order, written or not, answers byte for byte like an id that does not exist, and nothing can be done to it.
func TestOthersOrdersDoNotExist(t *testing.T) {
	t.Parallel()
	othersOrdersDoNotExist(t, setup)
}

func othersOrdersDoNotExist(t *testing.T, setup setupFunc) {
	ctx := t.Context()
	b := setup(t, Options{})
	written := b.claims.win("alice")
	b.handle(b.claims.messages()...)
	fresh := b.claims.win("alice")
	for _, id := range []ident.ID{written.ID, fresh.ID, 12345, 0, -1} {
		_, read := b.Get(ctx, "mallory", id)
		_, cancel := b.Cancel(ctx, "mallory", id, "mallory", "mine", "")
		want := notFound(id).Error()
		if !errs.Is(read, errs.NotFound) || read.Error() != want || !errs.Is(cancel, errs.NotFound) || cancel.Error() != want {
			t.Errorf("order %s: read %v, cancel %v", id, read, cancel)
		}
	}
	if list, _, err := b.List(ctx, "mallory", "", 0); err != nil || len(list) != 0 {
		t.Errorf("mallory sees %d orders: %v", len(list), err)
	}
	for _, id := range []ident.ID{written.ID, fresh.ID} {
		if a, _ := b.claims.Claim(ctx, id); a.State != driver.Held {
			t.Errorf("claim %s is %s", id, a.State)
		}
	}
}

// Paging through a list shows every order once, newest first, whether written, sent or neither, whatever the page size; an
// operator's list does so over all shards.
func TestListsPageThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	listsPageThroughEverythingOnce(t, setup)
}

func listsPageThroughEverythingOnce(t *testing.T, setup setupFunc) {
	ctx := t.Context()
	b := setup(t, Options{})
	var mine, written []ident.ID
	for i := range 60 {
		b.clk.Advance(time.Millisecond)
		user := fmt.Sprintf("other-%d", i)
		if i%3 == 0 {
			user = "alice"
		}
		a := b.claims.win(user)
		if user == "alice" {
			mine = append(mine, a.ID)
		}
		if i < 40 || i%2 == 0 {
			msgs := b.claims.messages()
			b.handle(msgs[len(msgs)-1])
			written = append(written, a.ID)
			if i%4 == 0 {
				b.claims.acknowledge(a.ID)
			}
		}
	}
	slices.Reverse(mine)
	slices.Reverse(written)
	for user, want := range map[string][]ident.ID{"alice": mine, "": written} {
		for _, limit := range []int{1, 19, 20, 21, 500} {
			if user == "" {
				limit = limit*2 + 5
			}
			var got []ident.ID
			cursor, pages := "", 0
			for more := true; more; more = cursor != "" {
				page, next, err := b.List(ctx, user, cursor, limit)
				if err != nil || len(page) > limit || next != "" && len(page) != limit || len(page) == 0 {
					t.Fatalf("page of %d after %d orders, next %q: %v", len(page), len(got), next, err)
				}
				for _, o := range page {
					got = append(got, o.ID)
					if err := wellFormed(o); err != nil {
						t.Fatal(err)
					}
				}
				cursor, pages = next, pages+1
			}
			if d := cmp.Diff(want, got); d != "" || pages != (len(want)+min(limit, 500)-1)/min(limit, 500) {
				t.Errorf("list of %q by %d in %d pages: %s", user, limit, pages, d)
			}
		}
	}
}

// A cursor that no list returned is refused, and every cursor that one returns is read back.
func TestCursors(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	for _, bad := range []string{"x", "AQ", "AQAAAAAAAAAA", "Af__________", "AgAAAAAAAAAB", "AQAAAAAAAAAB=", "AQAAAAAAAAAB\n"} {
		if _, _, err := b.List(t.Context(), "alice", bad, 0); !errs.Is(err, errs.Invalid) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		id := ident.ID(rapid.Int64Min(1).Draw(t, "id"))
		if got, err := parseCursor(cursorAt(id)); got != id || err != nil {
			t.Fatalf("%s comes back as %s, %v", id, got, err)
		}
	})
}

// The exports have every order and every event once, in stable order, with the names of the API, over several pages.
func TestExports(t *testing.T) {
	t.Parallel()
	exports(t, setup)
}

func exports(t *testing.T, setup setupFunc) {
	ctx := t.Context()
	b := setup(t, Options{})
	const orders = exportPage + 103
	for i := range orders {
		b.clk.Advance(time.Millisecond)
		b.claims.win(fmt.Sprintf("u%d", i/(exportPage+50))) // the first user's table has more than a page
	}
	b.handle(b.claims.messages()...)
	paid := b.firstID()
	if _, err := b.claims.sell(paid); err != nil {
		t.Fatal(err)
	}
	b.handle(b.claims.messages()...)

	var first, second bytes.Buffer
	if err := errors.Join(b.ExportOrders(ctx, &first), b.ExportOrders(ctx, &second)); err != nil || first.String() != second.String() {
		t.Fatalf("two exports differ: %v", err)
	}
	seen := map[string]ExportedOrder{}
	last := [3]int64{}
	for dec := json.NewDecoder(&first); dec.More(); {
		var o ExportedOrder
		if err := dec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		id, err := ident.Parse(o.ID)
		if db, table := b.route(id); err != nil || db != o.Shard || table != o.Table {
			t.Fatalf("order %s is exported from %d/%d: %v", o.ID, o.Shard, o.Table, err)
		}
		at := [3]int64{int64(o.Shard), int64(o.Table), int64(id)}
		if slices.Compare(at[:], last[:]) <= 0 {
			t.Fatalf("%v comes after %v", at, last)
		}
		last, seen[o.ID] = at, o
	}
	if o := seen[paid.String()]; len(seen) != orders || o.State != Paid || o.Version != 3 || o.Amount != 100000 || len(o.Items) == 0 {
		t.Errorf("%d orders, the paid one is %+v", len(seen), o)
	}
	var line map[string]any
	if err := json.Unmarshal(bytes.SplitN(second.Bytes(), []byte("\n"), 2)[0], &line); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "user", "sale", "key", "items", "amount", "currency", "state", "version", "createdAt", "payBefore",
		"shard", "table"} {
		if _, ok := line[name]; !ok {
			t.Errorf("the export lacks %s", name)
		}
	}
	var events bytes.Buffer
	if err := b.ExportEvents(ctx, &events); err != nil {
		t.Fatal(err)
	}
	count := map[string]int64{}
	for dec := json.NewDecoder(&events); dec.More(); {
		var e ExportedEvent
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if count[e.Order]++; e.N != count[e.Order] {
			t.Fatalf("event %d of order %s comes as number %d", e.N, e.Order, count[e.Order])
		}
	}
	if len(count) != orders || count[paid.String()] != 3 {
		t.Errorf("events of %d orders, %d of the paid one", len(count), count[paid.String()])
	}
}

// What was written is there after a restart, and delivering everything again changes nothing.
func TestRestart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t, Options{})
	for i := range 40 {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	b.handle(b.claims.messages()...)
	if _, err := b.claims.sell(b.firstID()); err != nil {
		t.Fatal(err)
	}
	b.handle(b.claims.messages()...)
	before, _, err := b.List(ctx, "", "", 500)
	if err != nil {
		t.Fatal(err)
	}
	b.Stop()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(Options{})
	b.clk.Advance(time.Minute)
	b.handle(b.claims.messages()...)
	after, _, err := b.List(ctx, "", "", 500)
	if d := cmp.Diff(before, after); d != "" || err != nil || len(after) != 40 {
		t.Errorf("%v %s", err, d)
	}
}

// Acts on an order that has no row yet write it first, and bring one that is behind its claim to where that is; an act whose edge does not exist is refused naming both ends.
func TestActsMaterialise(t *testing.T) {
	t.Parallel()
	actsMaterialise(t, setup)
}

func actsMaterialise(t *testing.T, setup setupFunc) {
	ctx := t.Context()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	if _, err := b.claims.sell(a.ID); err != nil {
		t.Fatal(err)
	}
	o, err := b.Fulfil(ctx, a.ID, "op-1", "sent with the morning van")
	if err != nil || !slices.Equal(states(o), []State{Accepted, PendingPayment, Paid, Fulfilled}) || o.Events[3].Why != "sent with the morning van" {
		t.Fatalf("%+v, %v", o, err)
	}
	if who := o.Events[3].Who; who != "op-1" {
		t.Errorf("recorded as done by %q", who)
	}
	if again, err := b.Fulfil(ctx, a.ID, "op-1", "sent"); err != nil || again.Version != 4 {
		t.Errorf("a second time: version %d, %v", again.Version, err)
	}
	held := b.claims.win("alice")
	for name, act := range map[string]func() (Order, error){
		"fulfil": func() (Order, error) { return b.Fulfil(ctx, held.ID, "op", "") },
		"refund": func() (Order, error) { return b.AddRefund(ctx, held.ID, Refund{Amount: 1}) },
	} {
		if _, err := act(); !errs.Is(err, errs.IllegalTransition) || !bytes.Contains([]byte(err.Error()), []byte(PendingPayment)) {
			t.Errorf("%s of an unpaid order: %v", name, err)
		}
	}
	if _, err := b.claims.sell(held.ID); err != nil { // the payment has sold the claim; the order's row does not say so yet
		t.Fatal(err)
	}
	if o, err := b.Fulfil(ctx, held.ID, "op", "sent"); err != nil || !slices.Equal(states(o), []State{Accepted, PendingPayment, Paid, Fulfilled}) {
		t.Errorf("an order behind its claim: %+v, %v", o, err)
	}
	if _, err := b.Fulfil(ctx, 12345, "op", ""); !errs.Is(err, errs.NotFound) {
		t.Errorf("fulfilling nothing: %v", err)
	}
	if _, err := b.AddRefund(ctx, a.ID, Refund{Amount: -1}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a negative refund: %v", err)
	}
}

// A part refunded leaves state, version and events; stock that comes back, or the last of the money, ends the order.
func TestRefunds(t *testing.T) {
	t.Parallel()
	refunds(t, setup)
}

func refunds(t *testing.T, setup setupFunc) {
	ctx := t.Context()
	b := setup(t, Options{})
	for _, c := range []struct {
		amounts  []int64
		returned bool
		want     State
	}{
		{[]int64{40000}, false, Paid}, {[]int64{40000, 60000}, false, Refunded}, {[]int64{40000}, true, Refunded}, {[]int64{0}, true, Refunded},
	} {
		a := b.claims.win("alice")
		if _, err := b.claims.sell(a.ID); err != nil {
			t.Fatal(err)
		}
		var o Order
		var err error
		var sum int64
		for _, amount := range c.amounts {
			for range 2 { // telling it again adds nothing
				r := Refund{Amount: amount, Before: sum, Returned: c.returned, Why: "broken"}
				if o, err = b.AddRefund(ctx, a.ID, r); err != nil {
					t.Fatal(err)
				}
			}
			sum += amount
		}
		if o.State != c.want || o.Refunded != sum || wellFormed(o) != nil {
			t.Errorf("after %v, returned %v: %+v", c.amounts, c.returned, o)
		}
		if _, err := b.AddRefund(ctx, a.ID, Refund{Amount: a.Amount - sum + 1, Before: sum}); !errs.Is(err, errs.RefundTooLarge) {
			t.Errorf("one more than is left: %v", err)
		}
		_, err = b.AddRefund(ctx, a.ID, Refund{Amount: 7, Before: sum + 3})
		if wrong, ok := errors.AsType[*WrongSum](err); !ok || wrong.Has != sum || wrong.Expected != sum+3 {
			t.Errorf("a refund that follows another sum: %v", err)
		}
	}
}

// Cancelling shows at once, is harmless to repeat, and is refused once the order was paid or has expired.
func TestCancel(t *testing.T) {
	t.Parallel()
	cancel(t, setup)
}

func cancel(t *testing.T, setup setupFunc) {
	ctx := context.Background()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	for range 2 {
		o, err := b.Cancel(ctx, "alice", a.ID, "alice", "too dear", "")
		if err != nil || !slices.Equal(states(o), []State{Accepted, PendingPayment, Cancelled}) || o.Events[2].Why != "too dear" {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	b.handle(b.claims.messages()...)
	if o := b.get(a.ID); o.Version != 3 {
		t.Errorf("the messages made version %d of it", o.Version)
	}
	paid, expired := b.claims.win("alice"), b.claims.win("alice")
	if _, err := b.claims.sell(paid.ID); err != nil {
		t.Fatal(err)
	}
	b.releaser(driver.Held, stock.WhyExpired)(expired.ID)
	for _, id := range []ident.ID{paid.ID, expired.ID} {
		if _, err := b.Cancel(ctx, "", id, "op", "", ""); !errs.Is(err, errs.IllegalTransition) {
			t.Errorf("cancelling an order that is %s: %v", b.get(id).State, err)
		}
	}
}
