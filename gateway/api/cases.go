package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
)

// Cases is what the operator's calls about payment cases need.
type Cases interface {
	ListCases(ctx context.Context, q payment.CaseQuery) ([]payment.Case, error)
	CaseBySeq(ctx context.Context, seq int64) (payment.CaseView, error)
	// Resolve is audited.
	Resolve(ctx context.Context, r payment.Resolution) (payment.Case, error)
}

// PaymentCase is something about a payment that somebody should look at, or late money.
type PaymentCase struct {
	ID       string        `json:"id"`
	Kind     string        `json:"kind" enum:"mismatch,reference-reused,second-capture,refund-refused,refund-waiting,refund-books,late,silent"`
	State    string        `json:"state" enum:"open,closed"`
	Payment  string        `json:"payment"`
	Ref      string        `json:"ref" doc:"the provider's transaction, or the refund that the case is about"`
	Amount   int64         `json:"amount" doc:"the sum at stake, in minor units of currency"`
	Currency string        `json:"currency"`
	Detail   string        `json:"detail"`
	At       time.Time     `json:"at"`
	Actions  []CaseAction  `json:"actions" nullable:"false" doc:"what may be done now, with its effect"`
	Closing  *CaseClosing  `json:"closing,omitempty"`
	Known    *CaseEvidence `json:"known,omitempty" doc:"what is known now; only when one case is looked at"`
}

// CaseAction is a legal act on a case.
type CaseAction struct {
	Action string `json:"action" enum:"refund,accept,retry"`
	Effect string `json:"effect"`
}

// CaseClosing is what ended a case. Action is one of the actions, an outcome of late money, or by-itself; Who is empty for the machine.
type CaseClosing struct {
	Action string    `json:"action"`
	Who    string    `json:"who"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// CaseEvidence is what is known of a case now.
type CaseEvidence struct {
	Provider       string `json:"provider"`
	ProviderSays   string `json:"providerSays" doc:"its answer to a question asked just now"`
	PaymentState   string `json:"paymentState"`
	Asked          int64  `json:"asked" doc:"minor units that the payment asks for"`
	Captured       int64  `json:"captured"`
	Refunded       int64  `json:"refunded"`
	Late           bool   `json:"late"`
	Order          string `json:"order"`
	OrderState     string `json:"orderState" doc:"empty when the order cannot be read now"`
	OrderAmount    int64  `json:"orderAmount"`
	RefundedAmount int64  `json:"refundedAmount" doc:"what the order says was refunded"`
}

// CaseResolution is what an operator decided.
type CaseResolution struct {
	Action string `json:"action" enum:"refund,accept,retry"`
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// CaseFilter selects cases.
type CaseFilter struct {
	All  bool   `query:"all" doc:"closed ones too"`
	Kind string `query:"kind" enum:"mismatch,reference-reused,second-capture,refund-refused,refund-waiting,refund-books,late,silent"`
}

// CasePath names a case.
type CasePath struct {
	Case string `path:"case" maxLength:"20"`
}

func (in *CasePath) seq() (int64, error) {
	id, err := ident.Parse(in.Case)
	if err != nil {
		return 0, errs.Wrap(errs.NotFound, err, "no such case")
	}
	return int64(id), nil
}

type caseOutput struct{ Body PaymentCase }

func (s *surface) caseCalls() {
	register(s, operator("list-cases", http.MethodGet, "/cases", "List payments that wait for somebody to decide, oldest first"), s.listCases)
	register(s, operator("get-case", http.MethodGet, "/cases/{case}", "Look at a case, with what provider and order say now"), s.getCase)
	register(s, operator("resolve-case", http.MethodPost, "/cases/{case}/resolve", "Do what was decided about a case"), s.resolveCase)
}

func (s *surface) listCases(ctx context.Context, in *struct {
	PageQuery
	CaseFilter
}) (*listOf[PaymentCase], error) {
	after, err := afterCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := s.d.Cases.ListCases(ctx, payment.CaseQuery{After: int64(after), Limit: in.Limit, All: in.All, Kind: in.Kind})
	if err != nil {
		return nil, err
	}
	out := &listOf[PaymentCase]{Page[PaymentCase]{Items: each(all, wireCase)}}
	if n := len(all); n > 0 && n == in.Limit {
		out.Body.Next = strconv.FormatInt(all[n-1].Seq, 10)
	}
	return out, nil
}

func (s *surface) getCase(ctx context.Context, in *CasePath) (*caseOutput, error) {
	seq, err := in.seq()
	if err != nil {
		return nil, err
	}
	v, err := s.d.Cases.CaseBySeq(ctx, seq)
	if err != nil {
		return nil, err
	}
	out := &caseOutput{wireCase(v.Case)}
	out.Body.Known = &CaseEvidence{
		Provider: v.Pay.Provider, ProviderSays: v.Said, PaymentState: string(v.Pay.State), Asked: v.Pay.Amount, Captured: v.Pay.Captured,
		Refunded: v.Pay.Refunded, Late: v.Pay.Late, Order: v.Pay.Order.String(), OrderState: string(v.Order.State), OrderAmount: v.Order.Amount,
		RefundedAmount: v.Order.Refunded,
	}
	return out, nil
}

func (s *surface) resolveCase(ctx context.Context, in *struct {
	CasePath
	Body CaseResolution
}) (*caseOutput, error) {
	seq, err := in.seq()
	if err != nil {
		return nil, err
	}
	c, err := s.d.Cases.Resolve(ctx, payment.Resolution{Seq: seq, Action: in.Body.Action, Who: acting(ctx), Reason: in.Body.Reason})
	if err != nil {
		return nil, err
	}
	return &caseOutput{wireCase(c)}, nil
}

func wireCase(c payment.Case) PaymentCase {
	out := PaymentCase{
		ID: strconv.FormatInt(c.Seq, 10), Kind: c.Kind, State: "open", Payment: c.Payment.String(), Ref: c.Ref, Amount: c.Amount, Currency: c.Currency,
		Detail: c.Detail, At: moment(c.At),
		Actions: each(c.Actions(), func(a payment.Action) CaseAction { return CaseAction{a.Name, a.Effect} }),
	}
	if !c.Open() {
		out.State, out.Closing = "closed", &CaseClosing{c.Action, c.Who, c.Reason, moment(c.ClosedAt)}
	}
	return out
}
