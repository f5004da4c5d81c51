package payment

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"penstock/engine/sqlite"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/internal/ident"
)

// Options tunes Payments. The zero value is good for production.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// QueryAfter is how long a payment may be pending, or captured and not settled, before the recovery loop asks; 0 means 2 s.
	QueryAfter time.Duration
	// MaxBackoff is the longest pause between two tries for the same payment or refund; 0 means 30 s.
	MaxBackoff time.Duration
	// ScanEvery is the pause between two looks for unfinished work; 0 means a quarter of QueryAfter.
	ScanEvery time.Duration
	// CallTimeout bounds one call to a provider; 0 means 3 s.
	CallTimeout time.Duration
	// Workers is how many payments the recovery loop handles at a time; 0 means 8.
	Workers int
	// Node is the node number in payment ids, 0 … [ident.MaxNode]. Processes that share a store need different ones.
	Node int
	// NodeNow replaces Node where the number is leased: it is asked for each id and must not block. While it returns less than
	// 0 nothing that needs an id is executed.
	NodeNow func() int
	// Late says what becomes of money that comes after the claim was released; "" means LateReclaim.
	Late LateMoney
	// CaseAfter is how long a provider may leave a payment or a refund open before an operator is told; 0 means 6 h.
	CaseAfter time.Duration
	// SQLite is for [New].
	SQLite sqlite.Options
	Fault  *fault.Points

	// Ended is called once for each payment that succeeded (its order is paid) or did not. It must not block.
	Ended func(method string, ok bool)
	// Called is called after each call to a provider. It must not block.
	Called func(provider, op string, took time.Duration, err error)
	// Raised is called for each new case for an operator (the Case kinds) and for late money (CaseLate). It must not block.
	Raised func(kind string)
	// Lately is called for each payment that was late, with what became of it: the Late outcomes. It must not block.
	Lately func(outcome string)
	// Told is called when messages may have been put into the outbox. It must not block.
	Told func()
}

// Validate names the field that cannot be used and what is allowed.
func (o Options) Validate() error {
	for name, d := range map[string]time.Duration{
		"QueryAfter": o.QueryAfter, "MaxBackoff": o.MaxBackoff, "ScanEvery": o.ScanEvery, "CallTimeout": o.CallTimeout,
		"CaseAfter": o.CaseAfter,
	} {
		if d < 0 {
			return fmt.Errorf("payment.Options.%s is %v: it must not be negative", name, d)
		}
	}
	if !slices.Contains(append(LateWays(), ""), o.Late) {
		return fmt.Errorf("payment.Options.Late is %q: it must be one of %v", o.Late, LateWays())
	}
	if o.Workers < 0 {
		return errors.New("payment.Options.Workers must not be negative")
	}
	if o.Node < 0 || o.Node > ident.MaxNode {
		return fmt.Errorf("payment.Options.Node is %d: it must be 0 to %d", o.Node, ident.MaxNode)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	o.QueryAfter = cmp.Or(o.QueryAfter, 2*time.Second)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 30*time.Second)
	o.ScanEvery = cmp.Or(o.ScanEvery, o.QueryAfter/4)
	o.CallTimeout = cmp.Or(o.CallTimeout, 3*time.Second)
	o.Workers = cmp.Or(o.Workers, 8)
	if o.NodeNow == nil {
		node := o.Node
		o.NodeNow = func() int { return node }
	}
	if o.Ended == nil {
		o.Ended = func(string, bool) {}
	}
	if o.Called == nil {
		o.Called = func(string, string, time.Duration, error) {}
	}
	o.Late = cmp.Or(o.Late, LateReclaim)
	o.CaseAfter = cmp.Or(o.CaseAfter, 6*time.Hour)
	if o.Lately == nil {
		o.Lately = func(string) {}
	}
	if o.Raised == nil {
		o.Raised = func(string) {}
	}
	if o.Told == nil {
		o.Told = func() {}
	}
	return o
}
