package balance_test

import (
	"testing"

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
