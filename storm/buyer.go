package storm

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// step is what a buyer does next.
type step uint8

const (
	toAttempt step = iota
	toPay
	toCancel
	toJoin // the line of a sale that has one
)

// plan is what a winner does.
type plan uint8

const (
	walkAway plan = iota
	pays
	cancels
)

// buyer is one visit: one user with one key. While it waits it is nothing but this record in the schedule.
type buyer struct {
	who  *person
	pass string
	key  string
	sku  string
	rng  *rand.Rand
	due  time.Time

	next    step
	plan    plan
	patient bool
	double  bool
	// tries counts the calls of the present step.
	tries int
	// payments counts the payments begun, each with a key of its own.
	payments int
	outcome  string
	order    string
	// entry is the buyer's in the line, challenge and nonce the work that it cost; lined that his pass is of the line.
	entry, challenge, nonce string
	lined                   bool
	// won, lost say how the wish ended; unsure that a call's outcome is not known; hungry that the last answer was a no that
	// is not final.
	won, lost, unsure, hungry bool
}

// newBuyer draws the n-th visit from the seed.
func (s *storm) newBuyer(n int, due time.Time) *buyer {
	who := &s.people[n%len(s.people)]
	rng := rand.New(rand.NewPCG(uint64(s.cfg.Seed), uint64(n)))
	b := &buyer{
		who: who, pass: who.pass, key: s.keyPrefix + strconv.Itoa(n), sku: s.skus[n%len(s.skus)], rng: rng, due: due,
	}
	if s.lined {
		b.next, b.pass = toJoin, ""
	}
	b.patient = rng.Float64() < s.cfg.Retry
	b.double = rng.Float64() < s.cfg.Double
	switch x := rng.Float64(); {
	case x < s.cfg.Pay:
		b.plan = pays
	case x < s.cfg.Pay+s.cfg.Cancel:
		b.plan = cancels
	}
	return b
}

// over reports whether nothing is left to find out about the wish.
func (b *buyer) over() bool {
	return b.won || !b.unsure && (b.lost || !(b.patient && b.hungry))
}

// backoff is how long to wait before the same call again: what the server asked for and up to a quarter more, else doubling.
func (b *buyer) backoff(asked time.Duration) time.Duration {
	if asked > 0 {
		return asked + time.Duration(b.rng.Float64()*float64(asked)/4)
	}
	d := min(50*time.Millisecond<<min(b.tries, 6), 2*time.Second)
	return d/2 + time.Duration(b.rng.Float64()*float64(d))
}

// draw picks an outcome by weight; "" when there is none to pick.
func draw(rng *rand.Rand, names []string, weights map[string]float64) string {
	var total float64
	for _, n := range names {
		total += weights[n]
	}
	x := rng.Float64() * total
	for _, n := range names {
		if x -= weights[n]; x < 0 {
			return n
		}
	}
	return ""
}

// address is the n-th identity's client address, out of the range kept for load tests (RFC 2544).
func address(n int) string {
	return "198." + strconv.Itoa(18+n>>16&1) + "." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255)
}
