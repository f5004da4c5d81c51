package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/auth"
	"penstock/errs"
	"penstock/gateway"
	"penstock/order/payment"
)

// PaymentRequest says how to pay. Outcome and AfterMs are for the sandbox only.
type PaymentRequest struct {
	Method  string `json:"method" minLength:"1" maxLength:"32"`
	Outcome string `json:"outcome,omitempty" enum:"capture,fail,lose,duplicate,reorder,wrong_amount" doc:"sandbox only; capture when left out"`
	AfterMs int64  `json:"afterMs,omitempty" minimum:"0" maximum:"600000" doc:"sandbox only: milliseconds until the provider acts"`
}

// RefundRequest says what to give back.
type RefundRequest struct {
	Amount      *int64 `json:"amount,omitempty" minimum:"1" doc:"minor units; left out: all that is left"`
	ReturnStock bool   `json:"returnStock,omitempty" doc:"whether the units go back on sale"`
	Reason      string `json:"reason,omitempty" maxLength:"500" doc:"why, for the history of the order and the audit trail; without one they say that it was refunded, and by whom"`
}

// KeyHeader documents the idempotency key; [gateway.IdempotencyKey] reads it.
type KeyHeader struct {
	Key string `header:"Idempotency-Key" doc:"required; a structured-field string, 1 to 255 printable ASCII characters"`
}

type payInput struct {
	OrderPath
	KeyHeader
	Body PaymentRequest
}

type paymentOutput struct {
	Replayed string `header:"Idempotency-Replayed"`
	Body     Payment
}

type refundInput struct {
	OrderPath
	KeyHeader
	Body RefundRequest
}

type callbackInput struct {
	Provider string `path:"provider" maxLength:"64"`
	RawBody  []byte `contentType:"application/json"`
}

func (s *surface) paymentCalls() {
	register(s, huma.Operation{
		OperationID: "pay-order", Method: http.MethodPost, Path: "/v1/orders/{order}/payments", DefaultStatus: http.StatusCreated,
		Summary: "Begin a payment", Security: bearer(), Tags: []string{"payments"},
	}, s.payOrder)
	register(s, huma.Operation{
		OperationID: "refund-order", Method: http.MethodPost, Path: "/v1/orders/{order}/refunds",
		Summary: "Give money back, wholly or partly", Security: bearer(), Tags: []string{"payments"},
	}, s.refundOrder)
	register(s, huma.Operation{
		OperationID: "payment-callback", Method: http.MethodPost, Path: "/v1/payment-callbacks/{provider}", DefaultStatus: http.StatusNoContent,
		Summary: "A provider reports", SkipValidateBody: true, Tags: []string{"payments"},
		Description: "Signed as Standard Webhooks say: webhook-id, webhook-timestamp, webhook-signature. Forged, stale and repeated reports change nothing.",
	}, s.paymentCallback)
}

// allowMethod refuses a sandbox app real money.
func allowMethod(who auth.Identity, method string) error {
	if who.Sandbox && method != auth.SandboxPayment {
		return errs.New(errs.Forbidden, "a sandbox app pays by the method %s", auth.SandboxPayment)
	}
	return nil
}

func (s *surface) payOrder(ctx context.Context, in *payInput) (*paymentOutput, error) {
	c := gateway.FromContext(ctx)
	key, err := gateway.IdempotencyKey(c.R.Header)
	if err != nil {
		return nil, err
	}
	id, err := in.id()
	if err == nil {
		err = allowMethod(c.Who, in.Body.Method)
	}
	if err != nil {
		return nil, err
	}
	p, replayed, err := s.d.Payments.Begin(ctx, payment.Begin{
		Order: id, User: c.Who.User, Key: key, Method: in.Body.Method, Outcome: in.Body.Outcome,
		After: time.Duration(in.Body.AfterMs) * time.Millisecond, Trace: c.Trace,
	})
	if err != nil {
		return nil, err
	}
	return &paymentOutput{Replayed: replayMark(replayed), Body: wirePayment(p)}, nil
}

func (s *surface) refundOrder(ctx context.Context, in *refundInput) (*orderOutput, error) {
	r, err := in.refund(ctx)
	if err != nil {
		return nil, err
	}
	r.User = gateway.FromContext(ctx).Who.User
	o, replayed, err := s.d.Payments.Refund(ctx, r)
	if err != nil {
		return nil, err
	}
	return ownOrder(o, replayed), nil
}

// refund is the request, still without the user on whose behalf it is.
func (in *refundInput) refund(ctx context.Context) (payment.Refund, error) {
	c := gateway.FromContext(ctx)
	key, err := gateway.IdempotencyKey(c.R.Header)
	if err != nil {
		return payment.Refund{}, err
	}
	id, err := in.id()
	if err != nil {
		return payment.Refund{}, err
	}
	var amount int64 // all that is left
	if in.Body.Amount != nil {
		amount = *in.Body.Amount
	}
	return payment.Refund{
		Order: id, Key: key, Amount: amount, ReturnStock: in.Body.ReturnStock, Reason: in.Body.Reason, Who: c.Who.User, Trace: c.Trace,
	}, nil
}

func (s *surface) paymentCallback(ctx context.Context, in *callbackInput) (*struct{}, error) {
	return nil, s.d.Payments.Callback(ctx, in.Provider, gateway.FromContext(ctx).R.Header, bytes.Clone(in.RawBody))
}
