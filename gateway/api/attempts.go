package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

type attemptInput struct {
	Sale string `path:"sale" maxLength:"128"`
	Key  string `path:"key" doc:"the idempotency key, without its quotes"`
}

// AttemptAnswer is what a key is bound to.
type AttemptAnswer struct {
	State     string        `json:"state" enum:"won,lost,unknown"`
	Reason    errs.Code     `json:"reason,omitempty" doc:"why it was lost: the name of a problem type"`
	Attempt   string        `json:"attempt,omitempty"`
	Order     string        `json:"order,omitempty"`
	Items     []driver.Line `json:"items,omitempty"`
	Amount    int64         `json:"amount,omitempty" doc:"minor units of currency"`
	Currency  string        `json:"currency,omitempty"`
	PayBefore *time.Time    `json:"payBefore,omitempty"`
	Final     bool          `json:"final" doc:"whether this answer can never change"`
}

type attemptOutput struct {
	RetryAfter   string `header:"Retry-After"`
	CacheControl string `header:"Cache-Control"`
	Body         AttemptAnswer
}

func (s *surface) attemptCalls() {
	s.api.OpenAPI().AddOperation(attemptOperation(s.api.OpenAPI().Components.Schemas))
	register(s, huma.Operation{
		OperationID: "get-attempt", Method: http.MethodGet, Path: "/v1/sales/{sale}/attempts/{key}", Security: bearer(), Tags: []string{"attempts"},
		Summary:     "Ask what a key is bound to",
		Description: "404 means: not executed so far, the same key may be tried.",
	}, s.getAttempt)
	register(s, huma.Operation{
		OperationID: "explain-attempt", Method: http.MethodGet, Path: "/v1/sales/{sale}/attempts/{key}/why", Security: bearer(), Tags: []string{"attempts"},
		Summary: "Ask why an attempt was answered as it was",
	}, s.explainAttempt)
}

// own checks that the caller may ask about the sale, and that the key could be one.
func (in *attemptInput) own(ctx context.Context) (user string, err error) {
	who := gateway.FromContext(ctx).Who
	if err := gateway.AllowSale(who, in.Sale); err != nil {
		return "", err
	}
	if len(in.Key) > gateway.MaxKey {
		return "", errs.New(errs.NotFound, "not executed so far")
	}
	return who.User, nil
}

func (s *surface) getAttempt(ctx context.Context, in *attemptInput) (*attemptOutput, error) {
	user, err := in.own(ctx)
	if err != nil {
		return nil, err
	}
	a, found, err := s.d.Sales.Lookup(ctx, in.Sale, user, in.Key)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errs.New(errs.NotFound, "not executed so far; the same key may be tried")
	}
	out := &attemptOutput{CacheControl: "no-store", Body: attemptAnswer(a)}
	if a.State == stock.Unknown {
		out.RetryAfter = strconv.FormatInt(max(1, int64((a.RetryAfter+time.Second-1)/time.Second)), 10)
	}
	return out, nil
}

func attemptAnswer(a stock.Answer) AttemptAnswer {
	out := AttemptAnswer{State: a.State.String(), Reason: a.Reason}
	if a.State == stock.Unknown || a.Attempt == nil {
		return out
	}
	out.Attempt, out.Final = a.Attempt.ID.String(), true
	if a.State == stock.Won {
		payBefore := moment(a.Attempt.PayBefore)
		out.Order, out.Items, out.PayBefore = out.Attempt, a.Attempt.Lines, &payBefore
		out.Amount, out.Currency = a.Attempt.Amount, a.Attempt.Currency
	}
	return out
}

type whyOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         sale.Why
}

func (s *surface) explainAttempt(ctx context.Context, in *attemptInput) (*whyOutput, error) {
	user, err := in.own(ctx)
	if err != nil {
		return nil, err
	}
	w, err := s.d.Sales.Why(ctx, in.Sale, user, in.Key)
	if err != nil {
		return nil, err
	}
	if w.Arrived = moment(w.Arrived); w.Stages == nil {
		w.Stages = []sale.WhyVerdict{}
	}
	return &whyOutput{CacheControl: "no-store", Body: w}, nil
}
