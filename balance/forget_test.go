package balance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/balance"
)

// When the barrier has forgotten a transaction, the ledger still knows how it ended: a call that comes all the same moves no
// money, and never takes what another branch holds.
func testForgottenBarrier(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 1000)
	w.calls(branch("other", 100), "t") // is held throughout
	free := int64(900)
	for word, late := range map[string]string{
		"tc": "t.c.x-", "tx": "t-c-x.t-", "x": "c-x.t-", "t": "t.c.",
	} {
		b := branch("tx-"+word, 10)
		w.calls(b, word)
		if err := balance.NewParticipant(w.b()).Forget(t.Context(), []string{b.Transaction, "none"}); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(late); i += 2 {
			if got := w.calls(b, late[i:i+1]); got != late[i+1:i+2] {
				t.Errorf("%s, forgotten, then %s: %s", word, late[:i+1], got)
			}
		}
		if word == "tc" || word == "t" {
			free -= 10
		}
		w.has("ann", free, 100)
	}
	w.calls(branch("other", 100), "x")
	w.has("ann", free+100, 0)
	w.audit()
}

// What keeps calls apart of branches that ended long ago is removed, page by page and once; branches that are held, young ones and those
// of coordinators here stay, however many they are, and no money moves by what comes late.
func testPrunedBarrier(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 1000)
	const many = 130 // of each kind, over a page of a hundred
	for i := range many {
		w.calls(branch(fmt.Sprint("ours-", i), 1), "x")
		w.calls(branch(fmt.Sprint("void-", i), 1), "x")
	}
	for _, word := range []string{"tc", "tx", "t"} {
		w.calls(branch("tx-"+word, 10), word)
	}
	prune := func(before time.Time) int {
		n, err := balance.NewParticipant(w.b()).Prune(t.Context(), before, 10_000, func(_ context.Context, tx string) (bool, error) {
			return strings.HasPrefix(tx, "ours-"), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := prune(time.Now().Add(-time.Hour)); n != 0 {
		t.Errorf("%d young branches were forgotten", n)
	}
	later := time.Now().Add(time.Hour)
	if n, again := prune(later), prune(later); n != many+2 || again != 0 {
		t.Errorf("%d branches were forgotten, then %d; want %d, 0", n, again, many+2)
	}
	for tx, want := range map[string]string{"ours-7": "t-c-", "tx-t": "t.x.t-", "tx-tc": "t.c.x-", "tx-tx": "t-x."} {
		for i := 0; i < len(want); i += 2 {
			amount := int64(10)
			if strings.HasPrefix(tx, "ours") {
				amount = 1
			}
			if got := w.calls(branch(tx, amount), want[i:i+1]); got != want[i+1:i+2] {
				t.Errorf("%s after the pruning, %s: %s", tx, want[:i+1], got)
			}
		}
	}
	w.has("ann", 990, 0)
	w.audit()
}
