package payment

import (
	"time"

	"penstock/internal/ident"
)

// State is the state of a payment.
//
//	pending ─► captured ─► refunding ─► refunded
//	   │          │
//	   ▼          ▼
//	failed     mismatch (another amount or currency was captured: an operator decides)
//
// A captured payment whose claim was already released is late money and goes to refunding by itself.
type State string

// Payment states.
const (
	Pending   State = "pending"
	Captured  State = "captured"
	Failed    State = "failed"
	Refunding State = "refunding"
	Refunded  State = "refunded"
	Mismatch  State = "mismatch"
)

// Payment is one try to pay an order. Amount is in minor units of Currency and is what the order costs; CapturedAmount is
// what the provider took.
type Payment struct {
	ID          ident.ID
	Order       ident.ID
	User        string
	Key         string
	Provider    string
	ProviderRef string // the provider's transaction id; "" until known; unique per provider
	State       State
	Amount      int64
	Currency    string
	Captured    int64
	Refunded    int64
	// Late is true when the money came after the claim was released.
	Late bool
	At   time.Time // of the last change
	// Why says why a payment failed, as far as its provider tells; only the answer of Begin has it.
	Why string
}

// Begin asks for a payment. Outcome and After are for the sandbox only.
type Begin struct {
	Order   ident.ID
	User    string
	Key     string
	Method  string
	Outcome string
	After   time.Duration
	Trace   string
}

// Refund asks to give money of an order back. Amount is in minor units; 0 means all that is left. User "" is an operator.
type Refund struct {
	Order       ident.ID
	User        string
	Key         string
	Amount      int64
	ReturnStock bool
	Reason      string
	Who         string
	Trace       string
}
