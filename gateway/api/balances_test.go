package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"penstock/balance"
	"penstock/errs"
)

// balanceRoom has 700 EUR cents of whoever is asked about, and two entries of it.
type balanceRoom struct{ *rooms }

func (r balanceRoom) Standings(_ context.Context, user string) ([]balance.Standing, error) {
	r.note("standings " + user)
	return []balance.Standing{{Currency: "EUR", Balance: 700, Held: 20, Credit: 100}}, nil
}

func (r balanceRoom) Entries(_ context.Context, user string, before int64, limit int) ([]balance.Entry, error) {
	r.note(fmt.Sprint("entries ", user, " ", before, " ", limit))
	t := balance.Transaction{Move: balance.Move{Kind: balance.TopUp, Currency: "EUR", Reason: "gift", Who: "root"}, Slot: 5, N: 2, At: start}
	return []balance.Entry{{Transaction: t, Pos: 5, Account: balance.User, Change: 700, Balance: 700}, {Transaction: t, Pos: 3, Account: balance.User}}[:min(limit, 2)], nil
}

func (r balanceRoom) Post(_ context.Context, m balance.Move) (balance.Transaction, bool, error) {
	r.note(fmt.Sprint("post ", m.Kind, " ", m.User, " ", m.Amount, m.Currency, " ", m.Who, " ", m.Reason))
	if m.Amount > 1000 {
		return balance.Transaction{}, false, errs.New(errs.InsufficientBalance, "the balance does not suffice")
	}
	return balance.Transaction{Move: m, Slot: 5, N: 3, At: start}, m.Reason == "again", nil
}

func (r balanceRoom) SetCredit(_ context.Context, l balance.Limit) (balance.Standing, error) {
	r.note(fmt.Sprint("limit ", l.Who, " ", l.Reason, " ", l.User, " ", l.Currency, " ", l.Credit))
	return balance.Standing{Currency: l.Currency, Credit: l.Credit}, nil
}

const balance1 = "/admin/v1/balances/ann"

// Every call about balances reaches its room with whose balance it is and who acts; a buyer sees his own and no operator's name.
func TestBalances(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for what, want := range map[string]string{
		`GET ` + balance1:                                                                "standings ann",
		`GET ` + balance1 + `/entries?cursor=9`:                                          "entries ann 9 50",
		`GET /admin/v1/balances/Zoe%CC%88/entries`:                                       "entries Zo\u00eb 0 50",
		`GET /admin/v1/balances/a%2Fb`:                                                   "standings a/b",
		`PUT ` + balance1 + `/limits/EUR {"limit":50,"reason":"r"}`:                      "limit root r ann EUR 50",
		`POST ` + balance1 + `/entries {"currency":"EUR","amount":300,"reason":"r"}`:     "post top-up ann 300EUR root r",
		`POST ` + balance1 + `/entries {"currency":"EUR","amount":-300,"reason":"r"}`:    "post withdrawal ann 300EUR root r",
		`POST ` + balance1 + `/entries {"currency":"EUR","amount":300,"reason":"again"}`: "post top-up ann 300EUR root again",
	} {
		w := h.ask(h.admin, "operator", what)
		if w.Code/100 != 2 || h.rooms.last() != want {
			t.Errorf("%s: %d, the room saw %q, want %q: %s", what, w.Code, h.rooms.last(), want, w.Body)
		}
		if again := strings.Contains(what, "again"); (w.Header().Get("Idempotency-Replayed") == "true") != again {
			t.Errorf("%s: replayed %q", what, w.Header().Get("Idempotency-Replayed"))
		}
	}
	problem(t, h.ask(h.admin, "operator", "POST "+balance1+`/entries {"currency":"EUR","amount":-3000,"reason":"r"}`), errs.InsufficientBalance)
	problem(t, h.ask(h.admin, "operator", "POST "+balance1+`/entries {"currency":"euro","amount":1,"reason":"r"}`), errs.Invalid)
	problem(t, h.ask(h.admin, "operator", "POST "+balance1+`/entries {"currency":"EUR","amount":1}`), errs.Invalid)
	w := h.ask(h.public, "user", "GET /v1/balance")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"currency":"EUR","balance":700,"held":20,"creditLimit":100,"available":800}`) {
		t.Errorf("own balance: %d %s", w.Code, w.Body)
	}
	w = h.ask(h.public, "user", "GET /v1/balance/entries?limit=1")
	if h.rooms.last() != "entries ann 0 1" || !strings.Contains(w.Body.String(), `"next":"5"`) || strings.Contains(w.Body.String(), "root") {
		t.Errorf("own entries: %d %s", w.Code, w.Body)
	}
}
