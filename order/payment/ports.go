package payment

import (
	"context"
	"net/http"
	"time"

	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

// Orders is what payments need of the orders. Reads see what was written before (money reads use the primary).
type Orders interface {
	// Get returns the user's order; a user of "" sees every order.
	Get(ctx context.Context, user string, id ident.ID) (order.Order, error)
	// Follow moves the order to where its claim is. It is idempotent.
	Follow(ctx context.Context, claim *driver.Attempt) (order.Order, error)
	// AddRefund adds to what was refunded, once: it compares the order's sum and sets it. See [order.WrongSum].
	AddRefund(ctx context.Context, id ident.ID, r order.Refund) (order.Order, error)
}

// Claims is what payments need of the stock: the claim is the only arbiter between paid and released.
type Claims interface {
	// Claim returns nil for an id that no attempt won.
	Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error)
	// Sell and Release are idempotent.
	Sell(ctx context.Context, id ident.ID, why, trace string) (stock.MoveResult, error)
	Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (stock.MoveResult, error)
	// Attempt claims units anew, for late money. The same key always gets the same answer.
	Attempt(ctx context.Context, r stock.Request) stock.Answer
}

// Provider is one way to be paid. Everything is idempotent by the id that is handed in. A nil error means that the Result is
// definite as of now; any error means that the outcome is not known and the call will be made again.
type Provider interface {
	// Check says what is wrong with the parts of b that only the provider understands; its error is for the client.
	Check(b Begin) error
	Charge(ctx context.Context, c Charge) (Result, error)
	// Query returns Absent for a payment the provider has never heard of.
	Query(ctx context.Context, payment ident.ID) (Result, error)
	// Refund returns Returned, Failed (the provider will never do it) or Waiting.
	Refund(ctx context.Context, r RefundCall) (Result, error)
	// Event verifies and reads a callback. Any error means that the callback is not to be believed.
	Event(h http.Header, body []byte) (Event, error)
}

// Voider is a provider that can make sure that a payment it has never heard of will never be taken. It is asked before such a
// payment is given up. Result is Taken after all, or Declined for good.
type Voider interface {
	Void(ctx context.Context, payment ident.ID) (Result, error)
}

// Status is what a provider says of a payment or a refund.
type Status uint8

// Statuses. The zero Status means nothing.
const (
	_ Status = iota
	Waiting
	Taken
	Declined
	Absent
	Returned
)

func (s Status) String() string {
	return [...]string{"none", "waiting", "taken", "declined", "absent", "returned"}[min(s, Returned)]
}

// Charge asks a provider for money. Amount is in minor units of Currency. User is whose order it is. Outcome and After are for
// the sandbox.
type Charge struct {
	Payment  ident.ID
	Order    ident.ID
	User     string
	Amount   int64
	Currency string
	Outcome  string
	After    time.Duration
}

// RefundCall asks a provider to give part of a captured payment back.
type RefundCall struct {
	Refund   ident.ID
	Payment  ident.ID
	Ref      string
	Amount   int64
	Currency string

	aside bool // of a transaction that is not the one the payment is about
}

// Result is what a provider answers. For Taken, Ref, Amount and Currency are what was captured.
type Result struct {
	Status   Status
	Ref      string
	Amount   int64
	Currency string
	Why      string
}

// Event is a genuine callback. ID is the message's id.
type Event struct {
	ID      string
	Payment ident.ID
	Result
}
