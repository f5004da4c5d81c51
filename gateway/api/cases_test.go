package api

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/statement"
)

// casesRoom has one open case, 7.
type casesRoom struct{}

var case7 = payment.Case{Seq: 7, Payment: 77, Kind: payment.CaseLate, Ref: "tx-1", Amount: 1999, Currency: "EUR", Detail: "late", At: start}

func (casesRoom) ListCases(_ context.Context, q payment.CaseQuery) ([]payment.Case, error) {
	if q.After >= 7 || q.Kind != "" && q.Kind != case7.Kind {
		return nil, nil
	}
	return []payment.Case{case7}, nil
}

func (casesRoom) CaseBySeq(_ context.Context, seq int64) (payment.CaseView, error) {
	if seq != 7 {
		return payment.CaseView{}, errs.New(errs.NotFound, "there is no case %d", seq)
	}
	return payment.CaseView{Case: case7, Pay: payment.Payment{ID: 77, Order: annsOrder, Provider: "sandbox"}, Order: order.Order{State: order.Expired}, Said: "taken"}, nil
}

func (c casesRoom) Resolve(ctx context.Context, r payment.Resolution) (payment.Case, error) {
	v, err := c.CaseBySeq(ctx, r.Seq)
	v.Action, v.Who, v.Reason, v.ClosedAt = r.Action, r.Who, r.Reason, start
	return v.Case, err
}

// statementsRoom has moved one amount and agrees with everything else.
type statementsRoom struct{}

func (statementsRoom) Compare(_ context.Context, _, _ string, lines []statement.Line, _ bool) (all []statement.Difference, err error) {
	for _, l := range lines {
		all = append(all, statement.Difference{Kind: statement.MissingHere, Type: l.Type, Ref: l.Ref})
	}
	return all, nil
}

func (statementsRoom) Moved(context.Context, payment.Span) ([]payment.Money, error) {
	return []payment.Money{{Seq: 1, Provider: "sandbox", Kind: statement.Capture, Ref: "tx-1", Payment: 77, Amount: 1999, Currency: "EUR", At: start}}, nil
}

// A case says the sum at stake, what provider and order say and what may be done; a resolution names one of that and a reason.
func TestCases(t *testing.T) {
	t.Parallel()
	h := setup(t)
	var c PaymentCase
	w := h.ask(h.admin, "operator", "GET /admin/v1/cases/7")
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || c.Amount != 1999 || len(c.Actions) != 3 || c.Known == nil || c.Known.ProviderSays != "taken" || c.Known.OrderState != "expired" {
		t.Errorf("%v: %s", err, w.Body)
	}
	w = h.ask(h.admin, "operator", `POST /admin/v1/cases/7/resolve {"action":"refund","reason":"agreed"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != http.StatusOK || c.State != "closed" || c.Closing.Reason != "agreed" || len(c.Actions) != 0 {
		t.Errorf("%v: %d %s", err, w.Code, w.Body)
	}
	for _, bad := range []string{`{"action":"refund"}`, `{"action":"forget","reason":"x"}`, `{"reason":"x"}`} {
		problem(t, h.ask(h.admin, "operator", "POST /admin/v1/cases/7/resolve "+bad), errs.Invalid)
	}
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/cases/8"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/cases/x"), errs.NotFound)
	problem(t, h.ask(h.admin, "operator", "GET /admin/v1/ledger?provider=sandbox&day=yesterday"), errs.Invalid)
}
