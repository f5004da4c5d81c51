package drivertest

import (
	"github.com/anishathalye/porcupine"

	"penstock/errs"
)

// The sequential sale of a linearizability check: one SKU, a few users with a few keys each.
const (
	linUsers = 3
	linKeys  = 2
	linLimit = 2
)

// What a call does.
const (
	linAttempt = iota
	linSell
	linRelease
	linOffer
	linLook
	linRead
)

// What a call answered, beside the code of a refusal.
const (
	linUnknown = "?"
	linWon     = "won"
	linYes     = "yes"
	linNo      = "no"
)

type linOp struct {
	do, user, key int
	// n is a quantity, or the change of an offer.
	n int
}

type linOut struct {
	what string
	// a is how many are available, or left.
	a, held, sold int
}

// linKey is what a key is bound to: "" nothing, a final refusal, or the state of its claim.
type linKey struct {
	bound string
	n     int
}

// linState is a sequential sale. It is compared with ==.
type linState struct {
	available, held, sold int
	taken                 [linUsers]int
	keys                  [linUsers][linKeys]linKey
}

// linModel is a sale of so many units. A step whose answer is unknown is always possible and has its effect; because it may
// come after every other call, this also covers that it never happened.
func linModel(units int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return linState{available: units} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(linState), input.(linOp), output.(linOut)
			if out.what == string(errs.KeyInProgress) || out.what == string(errs.ReducedCapacity) {
				return true, s
			}
			want := s.do(in)
			return out.what == linUnknown || out == want, s
		},
	}
}

// do changes the sale as one call does and returns its answer.
func (s *linState) do(in linOp) linOut {
	k := &s.keys[in.user][in.key]
	switch in.do {
	case linAttempt:
		return s.attempt(in, k)
	case linSell:
		if k.bound == "held" {
			k.bound = "sold"
			s.held, s.sold = s.held-k.n, s.sold+k.n
		}
		return yes(k.bound == "sold")
	case linRelease:
		if k.bound == "held" {
			k.bound = "released"
			s.held, s.available = s.held-k.n, s.available+k.n
			s.taken[in.user] -= k.n
		}
		return yes(k.bound == "released")
	case linOffer:
		if s.available+in.n < 0 {
			return yes(false)
		}
		s.available += in.n
		return yes(true)
	case linLook:
		if k.bound == "" {
			return yes(false)
		}
		return k.answer()
	}
	return linOut{what: linYes, a: s.available, held: s.held, sold: s.sold}
}

func (s *linState) attempt(in linOp, k *linKey) linOut {
	switch {
	case k.bound != "" && k.n != in.n:
		return linOut{what: string(errs.KeyReused)}
	case k.bound != "":
		return k.answer()
	case s.taken[in.user]+in.n > linLimit:
		*k = linKey{bound: string(errs.LimitReached), n: in.n}
		return k.answer()
	case s.available >= in.n:
		*k = linKey{bound: "held", n: in.n}
		s.available, s.held = s.available-in.n, s.held+in.n
		s.taken[in.user] += in.n
		return k.answer()
	case s.available > 0:
		return linOut{what: string(errs.NotEnoughLeft), a: s.available}
	case s.held > 0:
		return linOut{what: string(errs.StockHeld)}
	}
	*k = linKey{bound: string(errs.SoldOut), n: in.n}
	return k.answer()
}

// answer is what the bound key answers: claims have won whatever became of them.
func (k *linKey) answer() linOut {
	switch k.bound {
	case "held", "sold", "released":
		return linOut{what: linWon}
	}
	return linOut{what: k.bound}
}

func yes(b bool) linOut {
	if b {
		return linOut{what: linYes}
	}
	return linOut{what: linNo}
}
