package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/saga/participant"
	"penstock/stock"
	"penstock/stock/driver"
)

// Claims is what the participants need of the stock; *stock.Stock is one.
type Claims interface {
	Attempt(ctx context.Context, r stock.Request) stock.Answer
	Lookup(ctx context.Context, sale, user, key string) (stock.Answer, bool, error)
	Void(ctx context.Context, r stock.Request) (stock.Answer, bool, error)
	Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error)
	Sell(ctx context.Context, id ident.ID, why, trace string) (stock.MoveResult, error)
	Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (stock.MoveResult, error)
}

// whySold is why a claim is sold by a transaction, as it is for a payment.
const whySold = "paid"

// Stock is the stock as a participant: try holds, confirm sells, cancel releases. Its payload is
// {"sale","user","items":[{"sku","quantity"}]}.
type Stock struct{ claims Claims }

// NewStock returns the participant.
func NewStock(claims Claims) Stock { return Stock{claims} }

type stockPayload struct {
	Sale  string       `json:"sale"`
	User  string       `json:"user"`
	Items []stock.Item `json:"items"`
}

func readStock(payload json.RawMessage) (stockPayload, error) {
	var p stockPayload
	if err := strict(payload, &p); err != nil {
		return p, err
	}
	if p.Sale == "" || p.User == "" || len(p.Items) == 0 || len(p.Items) > 100 {
		return p, errors.New(`want {"sale","user","items":[{"sku","quantity"}]}, none empty`)
	}
	seen := map[string]bool{}
	for _, it := range p.Items {
		if it.SKU == "" || it.Quantity < 1 || seen[it.SKU] {
			return p, errors.New("each item has a sku of its own and a quantity of at least 1")
		}
		seen[it.SKU] = true
	}
	return p, nil
}

// strict reads a payload that must have no other fields.
func strict(payload json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the payload")
	}
	return nil
}

// Stake is the units asked for.
func (s Stock) Stake(payload json.RawMessage) (participant.Stake, error) {
	p, err := readStock(payload)
	var st participant.Stake
	for _, it := range p.Items {
		st.Units = append(st.Units, participant.Unit{SKU: it.SKU, Quantity: it.Quantity})
	}
	return st, err
}

// keyOf is the key under which a branch holds. No caller can send it: keys that come from outside are printable ASCII.
func keyOf(transaction, branch string) string { return "·tx:" + transaction + ":" + branch }

func (s Stock) request(b participant.Branch) (stock.Request, error) {
	p, err := readStock(b.Payload)
	if err != nil {
		return stock.Request{}, participant.Refuse(errs.New(errs.Invalid, "payload: %v", err))
	}
	return stock.Request{Sale: p.Sale, User: p.User, Key: keyOf(b.Transaction, b.Name), Items: p.Items, Trace: b.Trace}, nil
}

// Try holds the units. It takes part in the sale like any attempt: window, limit per user and stock decide. What cannot be held
// now is refused.
func (s Stock) Try(ctx context.Context, b participant.Branch) error {
	r, err := s.request(b)
	if err != nil {
		return err
	}
	a := s.claims.Attempt(ctx, r)
	switch {
	case a.State == stock.Unknown:
		return errs.New(errs.Unknown, "the stock has not answered yet")
	case a.State == stock.Won && a.Attempt.State == driver.Released:
		return participant.Refuse(errs.New(errs.IllegalTransition, "the units were held and given back (%s)", a.Attempt.Why))
	case a.State == stock.Won:
		return nil
	case a.Reason == errs.ReducedCapacity || a.Reason == errs.Internal:
		return errs.New(a.Reason, "the stock takes no calls now")
	}
	return participant.Refuse(errs.New(a.Reason, "sale %s: %s", r.Sale, a.Reason))
}

// Confirm sells what is held. A hold whose time was over is refused: its units went back.
func (s Stock) Confirm(ctx context.Context, b participant.Branch) error {
	r, err := s.request(b)
	if err != nil {
		return err
	}
	id, err := held(ctx, s.claims, r.Sale, r.User, r.Key)
	if err != nil {
		return err
	}
	_, err = sell(ctx, s.claims, id, b.Trace)
	return err
}

// held finds the claim of a key; a refusal means that there is none.
func held(ctx context.Context, claims Claims, sale, user, key string) (ident.ID, error) {
	a, bound, err := claims.Lookup(ctx, sale, user, key)
	switch {
	case err != nil:
		return 0, err
	case bound && a.State == stock.Unknown:
		return 0, errs.New(errs.Unknown, "the stock has not answered yet")
	case !bound || a.State != stock.Won:
		return 0, participant.Refuse(errs.New(errs.NotFound, "nothing is held under key %s", key))
	}
	return a.Attempt.ID, nil
}

// sell moves a claim to sold, or refuses because it has gone elsewhere. One that was refunded since was sold.
func sell(ctx context.Context, claims Claims, id ident.ID, trace string) (*driver.Attempt, error) {
	res, err := claims.Sell(ctx, id, whySold, trace)
	if err == nil && !res.Moved && res.Claim.Why != stock.WhyRefunded {
		err = participant.Refuse(errs.New(errs.IllegalTransition, "the units of order %s were given back (%s)", id, res.Claim.Why))
	}
	return res.Claim, err
}

// release gives a claim back, or refuses because it is sold.
func release(ctx context.Context, claims Claims, id ident.ID, trace string) (*driver.Attempt, error) {
	res, err := claims.Release(ctx, id, driver.Held, stock.WhyCancelled, trace)
	if err == nil && (res.Claim.State == driver.Sold || res.Claim.Why == stock.WhyRefunded) {
		err = participant.Refuse(errs.New(errs.IllegalTransition, "the units of order %s are sold", id))
	}
	return res.Claim, err
}

// Cancel gives the units back, or binds the key so that none can be taken any more.
func (s Stock) Cancel(ctx context.Context, b participant.Branch) error {
	r, err := s.request(b)
	if err != nil {
		return nil //nolint:nilerr // a payload that no try takes holds nothing
	}
	a, there, err := s.claims.Void(ctx, r)
	if err != nil || !there || a.State != stock.Won {
		return err
	}
	_, err = release(ctx, s.claims, a.Attempt.ID, b.Trace)
	return err
}
