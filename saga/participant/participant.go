// Package participant is what a service does to take part in a transaction across services: try, confirm and cancel its branch.
//
//	try ──► done ──► confirm          all tries done: everyone confirms
//	    └─► refused, or unknown ──► cancel    else everyone cancels, whoever never got its try included
//
// Each call may come late, twice, and in any order; the answer is a function of what was done, never of how often it was asked.
// Package barrier settles the three hard cases (a cancel before its try, a try after its cancel, repeats) for whoever keeps
// its effects in SQL.
//
// A participant promises: a try that was answered nil can be confirmed and can be cancelled; a refusal stays a refusal; an
// error that is no refusal says that nothing is known, and the call is made again. All methods are safe for concurrent use.
package participant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Branch is one participant's part of a transaction.
type Branch struct {
	// Transaction and Name together are the idempotency key of every call about the branch. Each is 1 to 64 bytes of
	// A–Z a–z 0–9 . _ - (a name has no dot).
	Transaction string
	Name        string
	// Payload says what is asked, in the participant's own words; it is the same in every call.
	Payload json.RawMessage
	// Trace is the W3C traceparent of what started the transaction, or "".
	Trace string
}

// Participant takes part in transactions. Nil means that the effect is durable, now or since an earlier call. An error for
// which [Refused] is true is a definite no: nothing was done and nothing will be. Any other error means that the outcome is
// not known.
type Participant interface {
	// Try reserves what Confirm will take. What a branch holds must not be taken by others until Confirm or Cancel.
	Try(ctx context.Context, b Branch) error
	// Confirm takes what was reserved.
	Confirm(ctx context.Context, b Branch) error
	// Cancel gives back what was reserved. It answers nil for a branch that was never tried, and remembers that.
	Cancel(ctx context.Context, b Branch) error
}

// Stake is what a branch puts at stake: an amount in minor units of Currency, and units of stock.
type Stake struct {
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	Units    []Unit `json:"units,omitempty"`
}

// Unit is a quantity of one SKU.
type Unit struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Staker is implemented by participants that read from a payload what is at stake. It is asked when a transaction begins; its
// error refuses the payload.
type Staker interface {
	Stake(payload json.RawMessage) (Stake, error)
}

// ErrRefused is wrapped by every definite no.
var ErrRefused = errors.New("refused")

// Refuse makes err a definite no. It keeps err's code and text.
func Refuse(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }

// Refused reports whether err is a definite no.
func Refused(err error) bool { return errors.Is(err, ErrRefused) }
