package accept

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Stock may be added and withdrawn while buyers storm: never below what is held and sold, and no unit is made or lost.
func TestStockChangesInTheMiddleOfASale(t *testing.T) {
	t.Parallel()
	sale, u := shared.sale(t, definition(item(20, 1))), shared.tokens(t, unique("mid"), 40)
	offer := func(delta int) answer {
		return shared.admin("POST", "/admin/v1/sales/"+sale+"/stock", obj{"sku": "a", "delta": delta, "reason": "test"})
	}
	var added, withdrawn int64
	wins := 0
	for i, a := range together(len(u)+8, func(i int) answer {
		switch {
		case i < len(u):
			return shared.attempt(sale, u[i], "k", one(1))
		case i%2 == 0:
			return offer(4)
		}
		return offer(-4)
	}) {
		switch {
		case i < len(u) && a.status == 201:
			wins++
		case i < len(u):
			if p := a.problem(); p != "stock-held" && p != "sold-out" {
				t.Errorf("attempt: %v", a)
			}
		case a.status == 200 && i%2 == 0:
			added += 4
		case a.status == 200:
			withdrawn += 4
		default:
			a.is(t, "withdraw", 409, "stock-in-use")
		}
	}
	l := shared.stock(t, sale)[0]
	if l.Offered != 20+added || l.Withdrawn != withdrawn || l.Held != int64(wins) {
		t.Errorf("%d added, %d withdrawn, %d wins: %+v", added, withdrawn, wins, l)
	}
	offer(int(-l.Available-1)).is(t, "withdraw more than is free", 409, "stock-in-use")
}

// A change of stock sent again with its key is made once; the key does not serve for another change.
func TestStockChangeIsIdempotent(t *testing.T) {
	t.Parallel()
	sale := shared.sale(t, definition(item(1, 1)))
	offer := func(delta int) answer {
		return shared.admin("POST", "/admin/v1/sales/"+sale+"/stock", obj{"sku": "a", "delta": delta, "reason": "test"}, "Idempotency-Key", "stock-"+sale)
	}
	for got := range count(together(6, func(int) answer { return offer(5) })) {
		if got != "200" {
			t.Errorf("an answer is %s", got)
		}
	}
	offer(6).is(t, "other change", 422, "key-reused")
	if l := shared.stock(t, sale)[0]; l.Offered != 6 {
		t.Errorf("offered %d units, want 6", l.Offered)
	}
	offers := shared.export(t, "stock-ledger", func(o obj) bool { return o["sale"] == sale && o["kind"] == "offer" })
	if len(offers) != 2 {
		t.Errorf("the ledger has %d offers, want the first stock and one change: %v", len(offers), offers)
	}
}

// A sale changes only for an operator who has seen its present version.
func TestPatchNeedsTheVersionSeen(t *testing.T) {
	t.Parallel()
	path := "/admin/v1/sales/" + shared.sale(t, definition(item(1, 1)))
	seen := shared.admin("GET", path, nil).is(t, "read", 200, "").header.Get("ETag")
	shared.admin("PATCH", path, obj{"title": "x"}).is(t, "no version", 428, "version-required")
	shared.admin("PATCH", path, obj{"title": "x"}, "If-Match", `"999"`).is(t, "a version to come", 412, "version-mismatch")
	got := count(together(5, func(i int) answer {
		return shared.admin("PATCH", path, obj{"title": fmt.Sprint("t", i)}, "If-Match", seen)
	}))
	if diff := cmp.Diff(map[string]int{"200": 1, "412 version-mismatch": 4}, got); diff != "" {
		t.Error(diff)
	}
}

// Each act of an operator leaves one row that says who, what, why, before and after; a refused act leaves none.
func TestEveryActIsAudited(t *testing.T) {
	t.Parallel()
	d := definition(item(9, 9))
	d["id"] = unique("audited")
	sale, user, name := shared.sale(t, d), shared.token(t, unique("aud")), unique("boss")
	boss := shared.token(t, name, "--role", "operator")
	act := func(method, path string, body any, want int, with ...string) {
		t.Helper()
		if a := shared.call("admin", method, "/admin/v1/"+path, boss, body, with...); a.status != want {
			t.Fatalf("%s %s: %v", method, path, a)
		}
	}
	order, other := shared.won(t, sale, user, 1), shared.won(t, sale, user, 1)
	shared.pay(order, user, "p", obj{"method": "sandbox"}).is(t, "pay", 201, "")
	shared.reaches(t, order, user, "paid")
	act("PATCH", "sales/"+sale, obj{"title": "new"}, 200, "If-Match", `"1"`)
	act("POST", "sales/"+sale+"/stock", obj{"sku": "a", "delta": 2, "reason": "why stock"}, 200)
	act("POST", "sales/"+sale+"/stock", obj{"sku": "a", "delta": -99, "reason": "refused"}, 409)
	act("POST", "sales/"+sale+"/actions", obj{"action": "pause", "reason": "why pause"}, 200)
	act("POST", "sales/"+sale+"/actions", obj{"action": "pause", "reason": "refused"}, 409)
	act("POST", "orders/"+order+"/fulfilment", obj{"reason": "why fulfil"}, 200)
	act("POST", "orders/"+order+"/refunds", obj{"amount": 5, "reason": "why refund"}, 200, "Idempotency-Key", "r")
	act("POST", "orders/"+other+"/cancellation", obj{"reason": "why cancel"}, 200)
	var got []string
	for _, row := range shared.export(t, "audit", having("who", name)) {
		if row["at"] == "" || row["after"] == nil {
			t.Errorf("a row lacks when or what after: %v", row)
		}
		got = append(got, row["object"].(string)+" "+row["why"].(string))
	}
	want := []string{
		"sale/" + sale + " patched", "stock/" + sale + "/a why stock", "sale/" + sale + " why pause", "order/" + order + " why fulfil",
		"order/" + order + " why refund", "order/" + other + " why cancel",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
