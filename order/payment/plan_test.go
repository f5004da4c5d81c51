package payment

import (
	"path/filepath"
	"strings"
	"testing"

	"penstock/engine/groupcommit"
)

// What a refund asks about the others of its payment and its order is found by index, however many refunds there are.
func TestRefundsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	db, err := groupcommit.Open(t.Context(), filepath.Join(t.TempDir(), "payments.db"), migrations, groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, where := range []string{"payment=1 AND state<>'failed'", "ord=1", "ord=1 AND auto=0 AND seq>0"} {
		var a, b, c int
		var plan string
		err := db.R().QueryRow("EXPLAIN QUERY PLAN SELECT sum(amount), max(seq) FROM refunds WHERE "+where).Scan(&a, &b, &c, &plan)
		if err != nil || !strings.Contains(plan, "USING INDEX") {
			t.Errorf("refunds where %s: %q (%v)", where, plan, err)
		}
	}
}
