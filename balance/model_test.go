package balance_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"penstock/balance"
	"penstock/errs"
)

// model is what balances should be, kept in maps.
type model struct {
	free, held, credit map[string]int64
	done               map[string]balance.Move
}

// post says whether the movement is made.
func (m *model) post(mv balance.Move) errs.Code {
	if was, ok := m.done[mv.Once]; ok {
		if was != mv {
			return errs.KeyReused
		}
		return ""
	}
	at := mv.User + mv.Currency
	free, held := map[balance.Kind][2]int64{
		balance.TopUp: {1, 0}, balance.Withdrawal: {-1, 0}, balance.Payment: {-1, 0}, balance.Hold: {-1, 1}, balance.Take: {0, -1}, balance.GiveBack: {1, -1},
	}[mv.Kind][0]*mv.Amount, map[balance.Kind]int64{balance.Hold: 1, balance.Take: -1, balance.GiveBack: -1}[mv.Kind]*mv.Amount
	if free < 0 && m.free[at]+free < -m.credit[at] || m.held[at]+held < 0 {
		return errs.InsufficientBalance
	}
	m.free[at] += free
	m.held[at] += held
	m.done[mv.Once] = mv
	return ""
}

// Any sequence of movements, repeats and limits leaves every user with what a model of maps says, and the ledger adds up.
func testModel(t *testing.T, on engine) {
	w := setup(t, on, nil)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		if run++; on.shared && run > 12 {
			return // a run on a server takes as long as ten on a file
		}
		m := &model{map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]balance.Move{}}
		users := []string{fmt.Sprint("ann", run), fmt.Sprint("bob", run)}
		for range rapid.IntRange(1, on.ops).Draw(rt, "acts") {
			user, currency := rapid.SampledFrom(users).Draw(rt, "user"), rapid.SampledFrom([]string{"EUR", "CNY"}).Draw(rt, "currency")
			amount := rapid.Int64Range(1, 50).Draw(rt, "amount")
			if rapid.IntRange(0, 9).Draw(rt, "act") == 0 {
				m.limit(rt, w, balance.Limit{User: user, Currency: currency, Credit: amount - 1})
				continue
			}
			mv := balance.Move{
				Once: fmt.Sprint(run, "-", rapid.IntRange(0, 40).Draw(rt, "key")), User: user, Currency: currency, Amount: amount,
				Kind: rapid.SampledFrom([]balance.Kind{balance.TopUp, balance.TopUp, balance.Withdrawal, balance.Payment, balance.Hold, balance.Take, balance.GiveBack}).Draw(rt, "kind"),
			}
			if was, ok := m.done[mv.Once]; ok && amount%2 == 0 {
				mv = was // a true repeat
			}
			want := m.post(mv)
			_, _, err := w.b().Post(t.Context(), mv)
			if want == "" && err != nil || want != "" && !errs.Is(err, want) {
				rt.Fatalf("%+v: %v, want %q", mv, err, want)
			}
		}
		for _, user := range users {
			m.compare(rt, w, user)
		}
	})
	w.audit()
}

func (m *model) limit(rt *rapid.T, w *world, l balance.Limit) {
	at := l.User + l.Currency
	refused := m.free[at] < -l.Credit
	if !refused {
		m.credit[at] = l.Credit
	}
	if _, _, err := w.b().SetCredit(w.t.Context(), l); errs.Is(err, errs.InsufficientBalance) != refused || !refused && err != nil {
		rt.Fatalf("%+v at %d: %v", l, m.free[at], err)
	}
}

func (m *model) compare(rt *rapid.T, w *world, user string) {
	all, err := w.b().Standings(w.t.Context(), user)
	if err != nil {
		rt.Fatal(err)
	}
	for _, s := range all {
		at := user + s.Currency
		if s.Balance != m.free[at] || s.Held != m.held[at] || s.Credit != m.credit[at] {
			rt.Fatalf("%s has %+v, want %d, %d held, limit %d", user, s, m.free[at], m.held[at], m.credit[at])
		}
	}
}
