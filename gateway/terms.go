package gateway

import (
	"time"

	"penstock/errs"
)

// terms are what a refusal says about coming again, beside its type: the same for every answer of a code. docs/answers.md has
// them as a table, which a test writes.
type terms struct {
	// wait is the least Retry-After, whatever the answer says; 0 means that there is none where the answer has none.
	wait time.Duration
	// may lets an answer say a Retry-After that it knows. Else there is none, whatever the answer says: coming again with the
	// same call changes nothing.
	may bool
	// cache is the Cache-Control.
	cache string
	// executed is what the body says of it: "false", "null" for nobody knows, or "" where the status leaves nothing open.
	executed string
}

const (
	noStore = "no-store"
	// finalFor bounds how long a final no may be repeated by an edge: what is bound to its key stays true, but an edge should not
	// need much memory for it.
	finalFor = "public, max-age=5"
	// finalVary is what such an answer is for: one caller and one key.
	finalVary = "Authorization, Idempotency-Key"
)

// termsOf returns the terms of a code.
func termsOf(code errs.Code) terms {
	switch code {
	case errs.SoldOut:
		return terms{cache: finalFor}
	case errs.QuotaExceeded, errs.ReducedCapacity, errs.UpstreamUnavailable:
		return terms{wait: time.Second, may: true, cache: noStore, executed: "false"}
	case errs.RequestTimeout:
		return terms{cache: noStore, executed: "false"}
	case errs.Unknown:
		return terms{wait: time.Second, may: true, cache: noStore, executed: "null"}
	case errs.KeyInProgress:
		return terms{wait: time.Second, may: true, cache: noStore}
	case errs.StockHeld, errs.SalePaused:
		return terms{wait: 2 * time.Second, may: true, cache: noStore}
	case errs.SaleNotOpen, errs.NotEnoughLeft, errs.LineClosed, errs.UpstreamFailed:
		return terms{may: true, cache: noStore}
	}
	return terms{cache: noStore}
}

// comeAgain sets the headers that tell a client when to come again and an edge how long to answer for us.
func (c *Call) comeAgain(code errs.Code, said time.Duration) {
	t := termsOf(code)
	if t.cache != noStore {
		c.W.Header()["Cache-Control"] = c.g.fixed.final
		c.W.Header()["Vary"] = c.g.fixed.vary
	} else {
		c.W.Header()["Cache-Control"] = c.g.fixed.noStore
	}
	wait := max(said, t.wait)
	switch {
	case !t.may || wait == 0:
		delete(c.W.Header(), "Retry-After")
	case code == errs.SaleNotOpen:
		c.set("Retry-After", c.g.opensIn(wait))
	default:
		c.set("Retry-After", c.g.retryAfter(wait))
	}
}
