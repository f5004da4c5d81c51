// Package client is the payment provider "sandbox" as package payment sees it: it calls a sandbox over HTTP and verifies and
// reads its callbacks.
//
// Every call is idempotent by the payment's or refund's id. An answer that says nothing definite (no connection, time-out, 5xx,
// not the JSON that was agreed) is an error, which means unknown, never failure. Safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/egress"
	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/webhook/standard"
)

const maxAnswer = 64 << 10

// Options tunes a Client. The zero value is good.
type Options struct {
	Clock clock.Clock
	// Tolerance is how old or early a callback may be; 0 means 5 minutes.
	Tolerance time.Duration
	// Timeout bounds one call, beside what its context says; 0 means 5 s.
	Timeout time.Duration
	// Conns is the number of idle connections kept; 0 means 64.
	Conns int
	// Transport replaces the client's own.
	Transport http.RoundTripper
}

// Client is a [payment.Provider].
type Client struct {
	base     func() string
	callback func() string
	verifier *standard.Verifier
	http     *http.Client
}

var _ payment.Provider = (*Client)(nil)

// New returns a client. base is the sandbox's URL, of this process or another, and callback the URL that it reports to, which
// may lead to any process that shares the payments; both are asked anew for each call, because listeners may get their ports
// late. Callbacks signed with any of the secrets are accepted.
func New(base, callback func() string, secrets []standard.Secret, o Options) (*Client, error) {
	v, err := standard.NewVerifier(secrets, standard.Options{Clock: o.Clock, Tolerance: o.Tolerance})
	if err != nil {
		return nil, fmt.Errorf("sandbox client: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Conns == 0 {
		o.Conns = 64
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConns: o.Conns, MaxIdleConnsPerHost: o.Conns, IdleConnTimeout: 90 * time.Second}
	}
	return &Client{base: base, callback: callback, verifier: v, http: egress.Fixed(o.Transport, o.Timeout)}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check refuses an outcome that the sandbox does not have and a delay over its limit.
func (c *Client) Check(b payment.Begin) error {
	var fields []errs.Field
	if b.Outcome != "" && !slices.Contains(sandbox.Outcomes(), b.Outcome) {
		fields = append(fields, errs.Field{Pointer: "/outcome", Detail: "must be one of " + strings.Join(sandbox.Outcomes(), ", ")})
	}
	if b.After < 0 || b.After > sandbox.MaxAfter {
		fields = append(fields, errs.Field{Pointer: "/afterMs", Detail: fmt.Sprintf("must be 0 to %d", sandbox.MaxAfter.Milliseconds())})
	}
	if fields == nil {
		return nil
	}
	e := errs.New(errs.Invalid, "the sandbox cannot do that")
	e.Fields = fields
	return e
}

// Charge implements [payment.Provider].
func (c *Client) Charge(ctx context.Context, q payment.Charge) (payment.Result, error) {
	var a sandbox.Charge
	err := c.do(ctx, http.MethodPost, "/charges", sandbox.ChargeRequest{
		PaymentID: q.Payment.String(), Amount: q.Amount, Currency: q.Currency, Outcome: q.Outcome,
		AfterMS: q.After.Milliseconds(), CallbackURL: c.callback(),
	}, &a)
	// Only a charge the sandbox cannot even read was certainly not made.
	if refused, ok := errors.AsType[*refusal](err); ok && refused.Code() == errs.Invalid {
		return payment.Result{Status: payment.Declined, Why: refused.Detail}, nil
	}
	if err != nil {
		return payment.Result{}, err
	}
	return result(a)
}

// Query implements [payment.Provider].
func (c *Client) Query(ctx context.Context, id ident.ID) (payment.Result, error) {
	var a sandbox.Charge
	err := c.do(ctx, http.MethodGet, "/charges/"+id.String(), nil, &a)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.Code() == errs.NotFound {
		return payment.Result{Status: payment.Absent}, nil
	}
	if err != nil {
		return payment.Result{}, err
	}
	return result(a)
}

// Refund implements [payment.Provider].
func (c *Client) Refund(ctx context.Context, q payment.RefundCall) (payment.Result, error) {
	var a sandbox.Refund
	err := c.do(ctx, http.MethodPost, "/refunds", sandbox.RefundRequest{
		RefundID: q.Refund.String(), PaymentID: q.Payment.String(), Amount: q.Amount,
	}, &a)
	if refused, ok := errors.AsType[*refusal](err); ok {
		return payment.Result{Status: payment.Declined, Why: refused.Detail}, nil
	}
	if err != nil {
		return payment.Result{}, err
	}
	if a.State != "refunded" || a.RefundID != q.Refund.String() || a.Amount != q.Amount {
		return payment.Result{}, fmt.Errorf("the sandbox answered refund %s with %+v", q.Refund, a)
	}
	return payment.Result{Status: payment.Returned, Amount: a.Amount, Currency: q.Currency}, nil
}

// Event implements [payment.Provider].
func (c *Client) Event(h http.Header, body []byte) (payment.Event, error) {
	id, err := c.verifier.Verify(h, body)
	if err != nil {
		return payment.Event{}, err
	}
	var e sandbox.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return payment.Event{}, fmt.Errorf("callback body: %w", err)
	}
	pay, err := ident.Parse(e.Data.PaymentID)
	if err != nil {
		return payment.Event{}, fmt.Errorf("callback body: %w", err)
	}
	out := payment.Event{ID: id, Payment: pay, Result: payment.Result{Ref: e.Data.ProviderRef, Amount: e.Data.Amount, Currency: e.Data.Currency}}
	switch e.Type {
	case sandbox.EventCaptured:
		out.Status = payment.Taken
	case sandbox.EventFailed:
		out.Status = payment.Declined
	case sandbox.EventPending:
		out.Status = payment.Waiting
	default:
		return payment.Event{}, fmt.Errorf("callback of unknown type %q", e.Type)
	}
	return out, nil
}

func result(a sandbox.Charge) (payment.Result, error) {
	r := payment.Result{Ref: a.ProviderRef, Amount: a.Amount, Currency: a.Currency}
	switch a.State {
	case "pending":
		r.Status = payment.Waiting
	case "captured":
		r.Status = payment.Taken
	case "failed":
		r.Status, r.Why = payment.Declined, "declined by the sandbox"
	default:
		return r, fmt.Errorf("the sandbox answered with state %q", a.State)
	}
	return r, nil
}

// refusal is a definite no of the sandbox.
type refusal struct{ sandbox.Problem }

func (r *refusal) Error() string {
	return fmt.Sprintf("the sandbox refused: %s: %s", r.Code(), r.Detail)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base(), "/")+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the sandbox's answer: %w", err)
	}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("read the sandbox's answer: %w", err)
		}
		return nil
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		var r refusal
		// Only the sandbox's own problem is a definite no; a 4xx of something in between (a proxy, another server) is not.
		if err := json.Unmarshal(answer, &r.Problem); err == nil && r.Code() != "" && r.Status == resp.StatusCode && definite(r.Code()) {
			return &r
		}
	}
	return fmt.Errorf("the sandbox answered %s", resp.Status)
}

func definite(c errs.Code) bool {
	return slices.Contains([]errs.Code{errs.Invalid, errs.NotFound, errs.KeyReused, errs.IllegalTransition, errs.RefundTooLarge}, c)
}
