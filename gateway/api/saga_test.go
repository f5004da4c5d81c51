package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"penstock/errs"
	"penstock/saga"
	"penstock/saga/participant"
)

// sagaRoom has one transaction, t-1, that needs a human, and one participant, stock.
type sagaRoom struct{ *rooms }

func theTransaction() *saga.Transaction {
	return &saga.Transaction{
		Seq: 4, ID: "t-1", Kind: saga.TCC, Recovery: saga.Backward, State: saga.NeedsHuman, From: saga.Confirming, Reason: "pay could not be confirmed: gone", Began: start,
		Branches: []saga.Branch{
			{Name: "stock", Participant: "stock", State: saga.BranchTaken, Stake: participant.Stake{Units: []participant.Unit{{SKU: "sku-1", Quantity: 2}}}},
			{Name: "pay", Participant: "balance", State: saga.BranchConfirming, Was: saga.BranchHeld, Stake: participant.Stake{Amount: 9900, Currency: "CNY"}},
		},
	}
}

func (r sagaRoom) Begin(_ context.Context, s saga.Spec) (*saga.Transaction, bool, error) {
	r.note("begin " + s.Who + " " + s.ID + " " + string(s.Branches[0].Payload))
	return theTransaction(), s.ID == "again", nil
}
func (r sagaRoom) Wait(context.Context, string) (*saga.Transaction, error) {
	return theTransaction(), nil
}
func (r sagaRoom) Get(_ context.Context, id string) (*saga.Transaction, []saga.Step, error) {
	if id != "t-1" {
		return nil, nil, errs.New(errs.NotFound, "no such transaction")
	}
	return theTransaction(), []saga.Step{{N: 1, At: start, What: "begun", Who: "root"}}, nil
}
func (r sagaRoom) List(_ context.Context, s saga.State, before int64, _ int) ([]*saga.Transaction, error) {
	if before == 4 || s == saga.Confirmed {
		return nil, nil
	}
	return []*saga.Transaction{theTransaction()}, nil
}
func (r sagaRoom) Resolve(_ context.Context, id string, x saga.Resolution) (_, after *saga.Transaction, err error) {
	r.note("resolve " + x.Who + " " + string(x.Action) + " " + x.Reason + " " + strings.Join(x.Settled, ","))
	after, _, err = r.Get(context.Background(), id)
	return after, after, err
}

func (r sagaRoom) Try(_ context.Context, b participant.Branch) error {
	r.note("try " + b.Transaction + "/" + b.Name + " " + string(b.Payload))
	switch b.Transaction {
	case "refused":
		return participant.Refuse(errs.New(errs.SaleClosed, "the sale is closed"))
	case "muddle":
		return errs.New(errs.IllegalTransition, "order and claim contradict each other")
	}
	return nil
}
func (r sagaRoom) Confirm(context.Context, participant.Branch) error { return nil }
func (r sagaRoom) Cancel(context.Context, participant.Branch) error  { return nil }

const oneBranch = `"branches":[{"name":"stock","participant":"stock","payload":{"sale":"flash"}}]`

// A transaction that needs a human shows what each branch has, the sum at stake and its timeline.
func TestTransactionTellsTheStake(t *testing.T) {
	t.Parallel()
	h := setup(t)
	text, _ := json.Marshal(object(t, h.ask(h.admin, "operator", "GET /admin/v1/transactions/t-1"), http.StatusOK))
	for _, want := range []string{
		`"atStake":{"held":{"money":{},"units":{}},"taken":{"money":{},"units":{"sku-1":2}},"unsure":{"money":{"CNY":9900},"units":{}}}`,
		`"holding":"held or taken"`, `"what":"begun"`, `"from":"confirming"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %s in %s", want, text)
		}
	}
}

// What an operator begins and decides reaches the room with who, why and what, and a repeat says that it is one.
func TestTransactionActs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	object(t, h.ask(h.admin, "operator", `POST /admin/v1/transactions {"id":"mine",`+oneBranch+`}`), http.StatusCreated)
	if got := h.rooms.last(); got != `begin root mine {"sale":"flash"}` {
		t.Errorf("the room was asked %q", got)
	}
	w := h.ask(h.admin, "operator", `POST /admin/v1/transactions {"id":"again",`+oneBranch+`}`)
	if object(t, w, http.StatusOK); w.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the repeat is not marked")
	}
	object(t, h.ask(h.admin, "operator", `POST /admin/v1/transactions/t-1/resolve {"action":"cancel","reason":"agreed","settled":["pay"]}`), http.StatusOK)
	if got := h.rooms.last(); got != "resolve root cancel agreed pay" {
		t.Errorf("the room was asked %q", got)
	}
	problem(t, h.ask(h.admin, "operator", `POST /admin/v1/transactions/t-1/resolve {"action":"cancel"}`), errs.Invalid)
	problem(t, h.ask(h.admin, "operator", `POST /admin/v1/transactions {"branches":[]}`), errs.Invalid)
}

// 409 from a participant is a definite no and nothing else, whatever code its reason has.
func TestParticipantAnswers(t *testing.T) {
	t.Parallel()
	h := setup(t)
	at := "POST /admin/v1/participants/stock/"
	body := func(tx string) string {
		return ` {"transaction":"` + tx + `","branch":"b","op":"try","payload":{"n":1}}`
	}
	if o := object(t, h.ask(h.admin, "operator", at+"try"+body("t")), http.StatusOK); o["state"] != "done" || h.rooms.last() != `try t/b {"n":1}` {
		t.Errorf("answer %v, room %q", o, h.rooms.last())
	}
	problem(t, h.ask(h.admin, "operator", at+"try"+body("refused")), errs.Conflict)
	problem(t, h.ask(h.admin, "operator", at+"try"+body("muddle")), errs.Unknown)
	problem(t, h.ask(h.admin, "operator", at+"confirm"+body("t")), errs.Invalid)
	object(t, h.ask(h.admin, "operator", at+`confirm {"transaction":"t","branch":"b","payload":{}}`), http.StatusOK)
	problem(t, h.ask(h.admin, "operator", strings.Replace(at, "stock", "none", 1)+"try"+body("t")), errs.NotFound)
}
