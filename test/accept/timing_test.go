package accept

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

// Lists and their filters show the caller's own orders, whatever else is asked for.
func TestFiltersShowNothingOfOthers(t *testing.T) {
	t.Parallel()
	sale, u := shared.sale(t, definition(item(3, 3))), shared.tokens(t, unique("filter"), 2)
	order := shared.won(t, sale, u[0], 1)
	shared.reaches(t, order, u[0], "pending_payment")
	for _, query := range []string{"", "?user=filter", "?sale=" + sale, "?order=" + order, "?id=" + order, "?cursor=" + order, "?limit=100", "?user=*", "?sku=a"} {
		a := shared.public("GET", "/v1/orders"+query, u[1], nil)
		if items, _ := a.json()["items"].([]any); a.status == http.StatusOK && len(items) != 0 || a.status >= 500 {
			t.Errorf("%q shows another's orders: %v", query, a)
		}
	}
}

// An answer about another's order takes as long as one about none: the medians of many, asked in turn, are within a fifth of each
// other. It runs with OVERLOAD=full only, since a busy machine tells nothing about it.
func TestTimingTellsNothing(t *testing.T) {
	if os.Getenv("OVERLOAD") != "full" {
		t.Skip("not run: OVERLOAD=full runs it")
	}
	sale, u := shared.sale(t, definition(item(3, 3))), shared.tokens(t, unique("time"), 2)
	order := shared.won(t, sale, u[0], 1)
	shared.reaches(t, order, u[0], "pending_payment")
	missing := order[:len(order)-1] + string('0'+('9'-order[len(order)-1]))
	took := map[string][]time.Duration{}
	for range 3000 {
		for _, id := range []string{order, missing} {
			begun := time.Now()
			shared.public("GET", "/v1/orders/"+id, u[1], nil).is(t, "another's", 404, "not-found")
			took[id] = append(took[id], time.Since(begun))
		}
	}
	slices.Sort(took[order])
	slices.Sort(took[missing])
	theirs, none := took[order][1500], took[missing][1500]
	t.Logf("measured: median %v for another's order, %v for none", theirs, none)
	if diff := (theirs - none).Abs(); diff > none/5 {
		t.Errorf("they differ by %v", diff)
	}
}
