package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
)

const (
	maxBody   = 16 << 10
	maxURL    = 1024
	maxAmount = int64(1) << 52
)

// ChargeRequest is the body of POST /charges. CallbackURL may be empty: then nothing is reported.
type ChargeRequest struct {
	PaymentID   string `json:"paymentId"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
	Outcome     string `json:"outcome,omitempty"`
	AfterMS     int64  `json:"afterMs,omitempty"`
	CallbackURL string `json:"callbackUrl,omitempty"`
}

// Charge is the answer about a charge. Amount is what was asked for while pending, and what was captured afterwards.
type Charge struct {
	PaymentID   string `json:"paymentId"`
	ProviderRef string `json:"providerRef"`
	State       string `json:"state"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
}

// RefundRequest is the body of POST /refunds.
type RefundRequest struct {
	RefundID  string `json:"refundId"`
	PaymentID string `json:"paymentId"`
	Amount    int64  `json:"amount"`
}

// Refund is the answer about a refund.
type Refund struct {
	RefundID  string `json:"refundId"`
	PaymentID string `json:"paymentId"`
	Amount    int64  `json:"amount"`
	State     string `json:"state"`
}

// Problem is an error answer (RFC 9457). Type is "/problems/" and a code of package errs.
type Problem struct {
	Type   string       `json:"type"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Errors []errs.Field `json:"errors,omitempty"`
}

// Code returns the code that the type names.
func (p Problem) Code() errs.Code { return errs.Code(strings.TrimPrefix(p.Type, typeBase)) }

const typeBase = "/problems/"

// Handler returns the HTTP interface: POST /charges, GET /charges/{payment}, POST /refunds, GET /refunds/{refund}, GET
// /statement?day=.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", s.postCharge)
	mux.HandleFunc("GET /charges/{id}", s.getCharge)
	mux.HandleFunc("POST /refunds", s.postRefund)
	mux.HandleFunc("GET /refunds/{id}", s.getRefund)
	mux.HandleFunc("GET /statement", s.getStatement)
	for _, path := range []string{"/charges", "/charges/{id}", "/refunds", "/refunds/{id}", "/statement"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s.problem(w, errs.New(errs.MethodNotAllowed, "%s is not allowed here", r.Method))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.problem(w, errs.New(errs.NotFound, "the sandbox has POST /charges, GET /charges/{paymentId}, POST /refunds, GET /refunds/{refundId} and GET /statement?day="))
	})
	return mux
}

// postCharge answers pending to every new charge: the outcome is told by callback, or to who asks.
func (s *Service) postCharge(w http.ResponseWriter, r *http.Request) {
	var q ChargeRequest
	if err := read(w, r, &q); err != nil {
		s.problem(w, err)
		return
	}
	c, err := q.charge(s.o.Clock.Now())
	if err == nil {
		var repeated bool
		if c, repeated, err = s.insert(r.Context(), c); err == nil {
			if repeated {
				write(w, http.StatusOK, s.view(c))
				return
			}
			s.queue.added(c, s.o.Clock.Now())
			write(w, http.StatusCreated, Charge{PaymentID: c.id.String(), ProviderRef: c.ref(), State: statePending, Amount: c.amount, Currency: c.currency})
			return
		}
	}
	s.problem(w, err)
}

func (q ChargeRequest) charge(now time.Time) (charge, error) {
	var bad findings
	c := charge{
		id: bad.id("/paymentId", q.PaymentID), amount: q.Amount, currency: q.Currency, outcome: q.Outcome,
		after: time.Duration(min(max(q.AfterMS, 0), MaxAfter.Milliseconds())) * time.Millisecond, callback: q.CallbackURL,
		made: time.UnixMilli(now.UnixMilli()).UTC(),
	}
	if c.outcome == "" {
		c.outcome = Capture
	}
	bad.unless(q.Amount > 0 && q.Amount <= maxAmount, "/amount", "must be a positive number of minor units")
	bad.unless(validCurrency(q.Currency), "/currency", "must be three capital letters")
	bad.unless(slices.Contains(Outcomes(), c.outcome), "/outcome", "must be one of "+strings.Join(Outcomes(), ", "))
	bad.unless(q.AfterMS >= 0 && q.AfterMS <= MaxAfter.Milliseconds(), "/afterMs", "must be 0 to 600000")
	bad.unless(q.CallbackURL == "" || validURL(q.CallbackURL), "/callbackUrl", "must be an http or https URL without user and fragment")
	if len(plan(c)) > 0 {
		c.next.Int64, c.next.Valid = c.due().UnixMilli(), true
	}
	return c, bad.err()
}

func validCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == ""
}

func (s *Service) view(c charge) Charge {
	v := Charge{PaymentID: c.id.String(), ProviderRef: c.ref(), State: c.state(s.o.Clock.Now()), Amount: c.amount, Currency: c.currency}
	if v.State == stateCaptured {
		v.Amount = c.taken()
	}
	return v
}

func (s *Service) getCharge(w http.ResponseWriter, r *http.Request) {
	id, err := ident.Parse(r.PathValue("id"))
	if err != nil {
		s.problem(w, errs.Wrap(errs.NotFound, err, "there is no such payment"))
		return
	}
	c, err := s.charge(r.Context(), id)
	if err != nil {
		s.problem(w, err)
		return
	}
	write(w, http.StatusOK, s.view(c))
}

func (s *Service) postRefund(w http.ResponseWriter, r *http.Request) {
	var q RefundRequest
	if err := read(w, r, &q); err != nil {
		s.problem(w, err)
		return
	}
	var bad findings
	rf := refund{id: bad.id("/refundId", q.RefundID), payment: bad.id("/paymentId", q.PaymentID), amount: q.Amount}
	bad.unless(q.Amount > 0 && q.Amount <= maxAmount, "/amount", "must be a positive number of minor units")
	err := bad.err()
	if err == nil {
		err = s.giveBack(r.Context(), rf)
	}
	if err != nil {
		s.problem(w, err)
		return
	}
	write(w, http.StatusOK, viewRefund(rf))
}

func viewRefund(r refund) Refund {
	return Refund{RefundID: r.id.String(), PaymentID: r.payment.String(), Amount: r.amount, State: "refunded"}
}

func (s *Service) getRefund(w http.ResponseWriter, r *http.Request) {
	id, err := ident.Parse(r.PathValue("id"))
	if err != nil {
		s.problem(w, errs.Wrap(errs.NotFound, err, "there is no such refund"))
		return
	}
	rf, err := s.refundByID(r.Context(), id)
	if err != nil {
		s.problem(w, err)
		return
	}
	write(w, http.StatusOK, viewRefund(rf))
}

// findings collects what is wrong with a body.
type findings []errs.Field

func (f *findings) unless(ok bool, pointer, detail string) {
	if !ok {
		*f = append(*f, errs.Field{Pointer: pointer, Detail: detail})
	}
}

func (f *findings) id(pointer, s string) ident.ID {
	id, err := ident.Parse(s)
	f.unless(err == nil, pointer, "must be a decimal id as a string")
	return id
}

func (f findings) err() error {
	if len(f) == 0 {
		return nil
	}
	e := errs.New(errs.Invalid, "%s %s", f[0].Pointer, f[0].Detail)
	e.Fields = f
	return e
}

func read(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			return errs.New(errs.Invalid, "the body is more than one JSON object")
		}
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.New(errs.TooLarge, "the body is over %d bytes", maxBody)
	}
	return errs.Wrap(errs.Invalid, err, "the body is not the JSON object that is asked for")
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (s *Service) problem(w http.ResponseWriter, err error) {
	code := errs.CodeOf(err)
	p := Problem{Type: typeBase + string(code), Status: code.Status(), Detail: "something went wrong inside the sandbox"}
	if e, ok := errors.AsType[*errs.Error](err); ok {
		p.Detail, p.Errors = e.Detail, e.Fields
	}
	if p.Status >= http.StatusInternalServerError {
		s.o.Logger.Error("sandbox", "error", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
