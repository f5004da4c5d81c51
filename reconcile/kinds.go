package reconcile

import (
	"context"
	"fmt"
	"time"
)

// Kinds of difference.
const (
	KindRow       = "stock-row"
	KindLedger    = "stock-row-and-journal"
	KindGate      = "gate-and-stock-row"
	KindShared    = "shared-gate-and-stock-row"
	KindClaim     = "claim-and-journal"
	KindAllowance = "allowance-and-claims"
	KindOrder     = "order-and-claim"
	KindMissing   = "claim-without-order"
	KindOrphan    = "order-without-claim"
	KindPlace     = "order-in-wrong-place"
	KindMoney     = "order-and-payments"
	KindUnpaid    = "sold-without-payment"
	KindLetter    = "dead-letter-of-good-order"
	KindWaiting   = "offer-without-claim"
	KindBalance   = "balance-and-ledger"
)

// Kinds returns every kind.
func Kinds() []string {
	return []string{
		KindRow, KindLedger, KindGate, KindShared, KindClaim, KindAllowance, KindOrder, KindMissing, KindOrphan, KindPlace, KindMoney, KindUnpaid,
		KindLetter, KindWaiting, KindBalance,
	}
}

// remedy says what each kind asks for.
func remedy(kind string) string {
	switch kind {
	case KindRow, KindLedger:
		return "pause the sale, find who wrote to the stock database besides the server, and restore the row or the journal from a backup"
	case KindGate:
		return "a repair loads the row into the gate"
	case KindShared:
		return "a repair builds what Redis has of the sale anew; if it comes back, find who else writes to Redis under these keys"
	case KindClaim:
		return "find who wrote to the stock database besides the server; the journal says what happened to the claim"
	case KindAllowance:
		return "a repair counts the user's claims anew, unless the journal contradicts a claim: that comes first"
	case KindOrder:
		return "a repair lets the order follow its claim if that is a legal step; else decide which of the two is right, and refund or fulfil"
	case KindMissing:
		return "a repair writes the order from its claim, unless its row lies in a wrong place"
	case KindOrphan:
		return "nothing was taken from the stock for it: look for its payments, refund them and remove the row"
	case KindPlace:
		return "it is not moved by itself: a process with another map of shards may still write it. Stop that one, then compare the two rows: the one in the right " +
			"place counts, and without one a repair writes it from its claim once the other is put aside"
	case KindMoney:
		return "look at the order's payments and open cases; refund what was kept without goods"
	case KindUnpaid:
		return "ask the provider for the payment; cancel the order with return of stock if there is none"
	case KindLetter:
		return "a repair discards the letter: the order is where its claim says"
	case KindWaiting:
		return "the buyer was promised units that nobody holds: offer them again by hand"
	case KindBalance:
		return "stop payments from balances; the entries of the ledger say what the balance must be"
	}
	return ""
}

// Report is the outcome of one comparison.
type Report struct {
	// Differences are at most 1,000 of each kind.
	Differences []Difference
	// Waiting is how many messages were on their way to the orders, parked ones included.
	Waiting int64
	// Gaps says what may differ, or does, and is not among Differences, by kind; empty when the comparison is complete.
	Gaps []Gap
}

// Gap is what of one kind of difference was left out, and why.
type Gap struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
	Why   string `json:"why"`
}

// Difference is one disagreement between two records of the same thing.
type Difference struct {
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Expected string    `json:"expected"`
	Found    string    `json:"found"`
	Repaired bool      `json:"repaired"`
	At       time.Time `json:"at"`

	// mend repairs it and reports whether the records agree now; nil when a person must decide.
	mend   func(ctx context.Context, who, reason string) (ok bool, err error)
	failed string // why a repair did not succeed
}

// Explain says in a sentence what was expected, what was found, and what to do.
func (d Difference) Explain() string {
	says := fmt.Sprintf("%s of %s: expected %s, found %s; %s.", d.Kind, d.Object, d.Expected, d.Found, remedy(d.Kind))
	if d.failed != "" {
		says += " The repair failed: " + d.failed + "."
	}
	return says
}
