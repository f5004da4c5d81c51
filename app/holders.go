package app

import (
	"time"

	"penstock/auth"
	"penstock/internal/clock"
	"penstock/shed"
)

// holdersKept is longer than most payment windows; a holder whose window is longer shows up again by reading the order.
const holdersKept = time.Hour

// holders decides how much a call matters by what its caller holds. It learns who holds something from attempts won, orders
// written and orders read in this process. What it does not know costs a caller priority, and nothing else.
type holders struct {
	*shed.Holders
	clock clock.Clock
	// keep is how long somebody is taken for a holder after the last sign of it. For as long after the start nobody is taken for
	// somebody who holds nothing: a process that has just started cannot know.
	keep  time.Duration
	since time.Time
}

func newHolders(c clock.Clock, keep time.Duration) *holders {
	return &holders{Holders: shed.NewHolders(0), clock: c, keep: keep, since: c.Now()}
}

// saw takes a sign that the user holds something.
func (h *holders) saw(user string) { h.Add(user, h.clock.Now().Add(h.keep)) }

func (h *holders) sweep() { h.Sweep(h.clock.Now()) }

// Class lowers calls about orders of those who have none: whoever only claims to pay must not push aside those who do. It raises
// none, so that a winner's browsing waits like everybody's.
func (h *holders) Class(_ string, who auth.Identity, base shed.Class) shed.Class {
	if base != shed.Paying && base != shed.ReadingWon || who.User == "" { // a provider's callback has no user
		return base
	}
	if now := h.clock.Now(); now.Sub(h.since) < h.keep || h.Has(who.User, now) {
		return base
	}
	if base == shed.Paying {
		return shed.Confirming // an order that he wins now, somewhere else, is about to be known here
	}
	return shed.Browsing
}
