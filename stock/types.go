package stock

import (
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Item is one wish of an attempt.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Request is one attempt to buy. Items is not empty, names no SKU twice and every quantity is at least 1.
type Request struct {
	Sale, User, Key string
	Items           []Item
	// Trace is the caller's W3C traceparent, or "".
	Trace string
	// Pass is the entry of the sale's line that the attempt was admitted by, for the SKU it admits to; 0 and "" without one. A
	// pass is good for one key.
	Pass    uint64
	PassSKU string
	// Replay asks for what the key is bound to and for nothing else: a key that is not bound is pass-required.
	Replay bool
}

// State is one of the three answers.
type State uint8

// The three answers. Unknown is never reported as failure: the same key settles it.
const (
	Unknown State = iota
	Won
	Lost
)

func (s State) String() string { return [...]string{"unknown", "won", "lost"}[s] }

// Answer is what became of an attempt.
type Answer struct {
	State State
	// Reason says why the attempt lost, else "".
	Reason errs.Code
	// Attempt is what the key is bound to: a win or a final no. Nil for refusals that bind nothing, and for Unknown.
	Attempt *driver.Attempt
	// Replayed is true when the key had been bound before this call.
	Replayed bool
	// SKU is the line that decided, for sold-out, not-enough-left, limit-reached and stock-held. Left is how many units (of
	// stock, or of the user's allowance) are left of it.
	SKU  string
	Left int64
	// OpensAt is set for sale-not-open.
	OpensAt time.Time
	// RetryAfter is how long to wait before the same key may be worth another try; 0 where trying again is pointless.
	RetryAfter time.Duration
}

// MoveResult is what became of a Sell or a Release.
type MoveResult struct {
	// Claim is the claim as it is now.
	Claim *driver.Attempt
	// Moved is true when this call (or an earlier one for the same end) made the move; false when the claim had gone elsewhere
	// before, in which case Claim.State says where.
	Moved bool
}

// Level is a stock row as readers see it.
type Level = driver.Stock

// ID is the id of an attempt, which is also the id of the order it won.
type ID = ident.ID
