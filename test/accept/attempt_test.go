package accept

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// However often and at once a buyer clicks with one key, there is one order and every click is told of it.
func TestDoubleClickBuysOnce(t *testing.T) {
	t.Parallel()
	sale, user := shared.sale(t, definition(item(50, 50))), shared.token(t, unique("dc"))
	first := 0
	var order string
	for _, a := range together(16, func(int) answer { return shared.attempt(sale, user, "k", one(1)) }) {
		if a.status == 409 && a.problem() == "key-in-progress" {
			continue
		}
		a.is(t, "click", 201, "")
		if order != "" && a.text("order") != order {
			t.Fatalf("two orders for one key: %s and %s", order, a.text("order"))
		}
		order = a.text("order")
		if a.header.Get("Idempotency-Replayed") == "" {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d answers say they are the first, want 1", first)
	}
	if l := shared.stock(t, sale)[0]; l.Held != 1 {
		t.Errorf("held %d units, want 1", l.Held)
	}
}

// A key belongs to its user and to its body: another body is refused, another user's same key is another attempt, and the
// long and the short form of one cart are the same body.
func TestKeyBelongsToUserAndBody(t *testing.T) {
	t.Parallel()
	sale := shared.sale(t, definition(item(9, 9)))
	u := shared.tokens(t, unique("key"), 2)
	order := shared.attempt(sale, u[0], "k", one(1)).is(t, "first", 201, "").text("order")
	shared.attempt(sale, u[0], "k", one(2)).is(t, "other body", 422, "key-reused")
	long := shared.attempt(sale, u[0], "k", obj{"items": []obj{one(1)}}).is(t, "long form", 201, "")
	if long.text("order") != order || long.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the long form is not a replay: %v", long)
	}
	if a := shared.attempt(sale, u[1], "k", one(1)).is(t, "other user", 201, ""); a.text("order") == order {
		t.Error("another user got the same order")
	}
	shared.public("GET", "/v1/sales/"+sale+"/attempts/nobody", u[1], nil).is(t, "a key never used", 404, "not-found")
}

// The limit holds for the person, in whatever Unicode form the name is spelt and however parallel the clicks are.
func TestLimitHoldsForEverySpellingOfAUser(t *testing.T) {
	t.Parallel()
	sale, id := shared.sale(t, definition(item(40, 3))), unique("")
	spelt := []string{shared.token(t, "A\u030angstro\u0308m"+id), shared.token(t, "\u00c5ngstr\u00f6m"+id)}
	got := count(together(24, func(i int) answer { return shared.attempt(sale, spelt[i%2], fmt.Sprint("k", i), one(1)) }))
	if diff := cmp.Diff(map[string]int{"201": 3, "409 limit-reached": 21}, got); diff != "" {
		t.Error(diff)
	}
}

// Of many buyers of the last unit exactly one is told yes, and nobody is told that it is final while it is unpaid.
func TestLastUnitHasOneWinner(t *testing.T) {
	t.Parallel()
	sale, u := shared.sale(t, definition(item(1, 1))), shared.tokens(t, unique("last"), 50)
	got := count(together(len(u), func(i int) answer { return shared.attempt(sale, u[i], "k", one(1)) }))
	if diff := cmp.Diff(map[string]int{"201": 1, "409 stock-held": len(u) - 1}, got); diff != "" {
		t.Error(diff)
	}
}

// Carts that name the same SKUs in opposite order neither block each other nor take half: each wins whole or not at all.
func TestOppositeCartsWinWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := item(12, 9)
	b["sku"], b["price"] = "b", 250
	sale, u := shared.sale(t, definition(item(12, 9), b)), shared.tokens(t, unique("cart"), 30)
	answers := together(len(u), func(i int) answer {
		cart := []obj{{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 1}}
		if i%2 == 1 {
			cart[0], cart[1] = cart[1], cart[0]
		}
		return shared.attempt(sale, u[i], "k", obj{"items": cart})
	})
	if diff := cmp.Diff(map[string]int{"201": 12, "409 stock-held": 18}, count(answers)); diff != "" {
		t.Error(diff)
	}
	for _, a := range answers {
		if a.status == 201 && a.number("amount") != "2249" {
			t.Errorf("amount of a whole cart: %v", a)
		}
	}
	for _, l := range shared.stock(t, sale) {
		if l.Held != 12 || l.Available != 0 {
			t.Errorf("half a cart is held: %+v", l)
		}
	}
}

// Whoever was told yes is told the same again, after the limit, a pause, sold out and the end; new buyers are told why not.
func TestReplayComesBeforeEveryRefusal(t *testing.T) {
	t.Parallel()
	sale, u := shared.sale(t, definition(item(1, 1))), shared.tokens(t, unique("replay"), 2)
	first := shared.attempt(sale, u[0], "k", one(1)).is(t, "buy", 201, "")
	order := first.text("order")
	same := func(when string) {
		t.Helper()
		again := shared.attempt(sale, u[0], "k", one(1)).is(t, when, 201, "")
		if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
			t.Errorf("%s the replay differs: %s", when, diff)
		}
	}
	act := func(action string) {
		t.Helper()
		shared.admin("POST", "/admin/v1/sales/"+sale+"/actions", obj{"action": action, "reason": "test"}).is(t, action, 200, "")
	}
	refused := func(when string, status int, problem string) {
		t.Helper()
		shared.attempt(sale, u[1], "k", one(1)).is(t, when, status, problem)
	}
	same("at the limit")
	act("pause")
	same("paused")
	refused("paused", 403, "sale-paused")
	act("resume")
	shared.pay(order, u[0], "p", obj{"method": "sandbox"}).is(t, "pay", 201, "")
	shared.reaches(t, order, u[0], "paid")
	same("sold out")
	eventually(t, "sold out is said", func() error {
		if a := shared.attempt(sale, u[1], "k", one(1)); a.problem() != "sold-out" {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	act("close")
	same("closed")
	refused("closed", 403, "sale-closed")
}

// Nothing is held a moment before the start or after the end, and whoever is early is told when it opens.
func TestWindowIsKept(t *testing.T) {
	t.Parallel()
	d := definition(item(100000, 100000))
	begin := time.Now().UTC().Add(700 * time.Millisecond).Truncate(time.Millisecond)
	end := begin.Add(600 * time.Millisecond)
	d["startsAt"], d["endsAt"] = begin, end
	sale, user := shared.sale(t, d), shared.token(t, unique("early"))
	early := shared.attempt(sale, user, "e", one(1)).is(t, "before the start", 403, "sale-not-open")
	if opens, err := time.Parse(time.RFC3339, early.text("opensAt")); err != nil || !opens.Equal(begin) {
		t.Errorf("opensAt is %q, want %v", early.text("opensAt"), begin)
	}
	wins, n := 0, 0
	eventually(t, "the sale ends", func() error {
		n++
		a := shared.attempt(sale, user, fmt.Sprint("k", n), one(1))
		if a.status == 201 {
			wins++
		}
		if a.problem() != "sale-closed" {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	claims := shared.export(t, "claims", having("sale", sale))
	if wins == 0 || len(claims) != wins {
		t.Errorf("%d claims for %d wins", len(claims), wins)
	}
	for _, c := range claims {
		if at, err := time.Parse(time.RFC3339, c["at"].(string)); err != nil || at.Before(begin) || !at.Before(end) {
			t.Errorf("a hold at %v, outside %v to %v", c["at"], begin, end)
		}
	}
}

// A refusal that binds nothing says how many are left, and the same key may then win with less.
func TestTooMuchIsNotExecuted(t *testing.T) {
	t.Parallel()
	sale, user := shared.sale(t, definition(item(3, 9))), shared.token(t, unique("much"))
	a := shared.attempt(sale, user, "k", one(4)).is(t, "four of three", 409, "not-enough-left")
	if a.number("left") != "3" {
		t.Errorf("left is %s, want 3", a.number("left"))
	}
	shared.public("GET", "/v1/sales/"+sale+"/attempts/k", user, nil).is(t, "look-up", 404, "not-found")
	shared.attempt(sale, user, "k", one(3)).is(t, "three of three", 201, "")
}
