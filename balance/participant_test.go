package balance_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"penstock/balance"
	"penstock/errs"
	"penstock/saga/participant"
)

func branch(tx string, amount int64) participant.Branch {
	raw, _ := json.Marshal(map[string]any{"user": "ann", "currency": "EUR", "amount": amount}) // plain values always have a JSON form
	return participant.Branch{Transaction: tx, Name: "money", Payload: raw}
}

// calls makes the calls of a word ("t", "c", "x" for try, confirm, cancel) and returns its answers: "." for ok, "-" for refused.
func (w *world) calls(b participant.Branch, word string) (answers string) {
	w.t.Helper()
	for _, c := range word {
		p := balance.NewParticipant(w.b())
		err := map[rune]func() error{
			't': func() error { return p.Try(w.t.Context(), b) },
			'c': func() error { return p.Confirm(w.t.Context(), b) },
			'x': func() error { return p.Cancel(w.t.Context(), b) },
		}[c]()
		switch {
		case err == nil:
			answers += "."
		case participant.Refused(err):
			answers += "-"
		default:
			w.t.Fatalf("%s: %v", word, err)
		}
	}
	return answers
}

// Calls about a branch that come late, twice or out of order have the effect of the first that counts, and the ledger adds up.
func testBarrier(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 1000)
	free := int64(1000)
	for word, c := range map[string]struct {
		answers    string
		took, held int64
	}{
		"t":      {".", 0, 10},
		"tc":     {"..", 10, 0},
		"tx":     {"..", 0, 0},
		"x":      {".", 0, 0},
		"xt":     {".-", 0, 0}, // hanging: a try after its cancel
		"xxt":    {"..-", 0, 0},
		"c":      {"-", 0, 0},
		"ct":     {"-.", 0, 10},
		"xc":     {".-", 0, 0},
		"ttcc":   {"....", 10, 0},
		"ttxx":   {"....", 0, 0},
		"tcx":    {"..-", 10, 0},
		"txc":    {"..-", 0, 0},
		"tct":    {"...", 10, 0},
		"txt":    {"..-", 0, 0},
		"xtcxtc": {".--.--", 0, 0},
	} {
		held := int64(0)
		if all, err := w.b().Standings(t.Context(), "ann"); err == nil {
			held = all[0].Held
		}
		if got := w.calls(branch("tx-"+word, 10), word); got != c.answers {
			t.Errorf("%s is answered %s, want %s", word, got, c.answers)
		}
		free -= c.took + c.held
		w.has("ann", free, held+c.held)
	}
	if got := w.calls(branch("much", free+1), "tt"); got != "--" {
		t.Errorf("a try of more than there is: %s", got)
	}
	w.topUp("ann", 1000)
	if got := w.calls(branch("much", free+1), "txc"); got != "-.-" {
		t.Errorf("after a refused try: %s", got)
	}
	p := balance.NewParticipant(w.b())
	for _, payload := range []string{`{}`, `{"user":"ann","currency":"EUR","amount":0}`, `{"user":"ann","currency":"EUR","amount":1,"x":1}`, `[`, `{"user":"ann","currency":"EUR","amount":1} 2`} {
		b := participant.Branch{Transaction: "bad", Name: "money", Payload: json.RawMessage(payload)}
		if _, err := p.Stake(b.Payload); !errs.Is(err, errs.Invalid) {
			t.Errorf("stake of %s: %v", payload, err)
		}
		if got := w.calls(b, "tcx"); got != "--." {
			t.Errorf("%s is answered %s", payload, got)
		}
	}
	if s, err := p.Stake(branch("x", 7).Payload); err != nil || s.Amount != 7 || s.Currency != "EUR" {
		t.Errorf("stake: %+v %v", s, err)
	}
	w.audit()
}

// Whichever of a try and a cancel comes first, nothing stays held; a confirm that meets a cancel takes all or nothing.
func testTryMeetsCancel(t *testing.T, on engine) {
	w := setup(t, on, nil)
	w.topUp("ann", 1000)
	var g sync.WaitGroup
	for i := range 20 {
		b := branch(fmt.Sprint("tx-", i), 10)
		confirms := i%2 == 1
		if confirms {
			w.calls(b, "t")
		}
		for _, word := range []string{"t", "x", "tx"[i%2 : i%2+1]} {
			g.Go(func() { w.calls(b, word) })
		}
		if confirms {
			g.Go(func() { w.calls(b, "c") })
		}
	}
	g.Wait()
	all, err := w.b().Standings(t.Context(), "ann")
	if err != nil || all[0].Held != 0 || all[0].Balance > 1000 || all[0].Balance < 900 || all[0].Balance%10 != 0 {
		t.Errorf("%+v %v", all, err)
	}
	w.audit()
}
