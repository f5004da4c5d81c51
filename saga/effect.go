package saga

import "penstock/saga/participant"

// Holding says in words what a branch has of its stake.
type Holding string

// Holdings. The last five mean that nobody here can tell.
const (
	Nothing         Holding = "nothing"
	Held            Holding = "held"
	Taken           Holding = "taken"
	PerhapsHeld     Holding = "perhaps held"
	PerhapsTaken    Holding = "perhaps taken"
	HeldOrTaken     Holding = "held or taken"
	HeldOrReturned  Holding = "held or returned"
	TakenOrReturned Holding = "taken or returned"
)

// Effect is what a branch has of its stake, as far as is known.
type Effect struct {
	Branch      string
	Participant string
	Holding     Holding
	Stake       participant.Stake
}

// Sum is amounts in minor units by currency, and units by SKU.
type Sum struct {
	Money map[string]int64 `json:"money"`
	Units map[string]int64 `json:"units"`
}

// AtStake is what a transaction that has not ended has out: what is surely held, what is surely taken, and what may be
// either or nothing. The three together are the sum at stake.
type AtStake struct{ Held, Taken, Unsure Sum }

// Effects returns the effect of each branch.
func (t *Transaction) Effects() []Effect {
	all := make([]Effect, len(t.Branches))
	for i := range t.Branches {
		b := &t.Branches[i]
		all[i] = Effect{b.Name, b.Participant, t.holding(b), b.Stake}
	}
	return all
}

func (t *Transaction) holding(b *Branch) Holding {
	switch b.State {
	case BranchHeld:
		return Held
	case BranchTaken:
		return Taken
	case BranchRefused:
		if b.Was == BranchHeld { // refused to confirm
			return PerhapsHeld
		}
	case BranchTrying:
		if t.Kind == Saga {
			return PerhapsTaken
		}
		return PerhapsHeld
	case BranchConfirming:
		return HeldOrTaken
	case BranchCancelling:
		switch {
		case b.Was == BranchTaken && b.No:
			return Taken
		case b.Was == BranchTaken, b.Was == BranchConfirming:
			return TakenOrReturned
		case t.Kind == Saga:
			return PerhapsTaken
		case b.Was == BranchHeld:
			return HeldOrReturned
		}
		return PerhapsHeld
	}
	return Nothing
}

// AtStake adds the effects up.
func (t *Transaction) AtStake() AtStake {
	sum := func() Sum { return Sum{Money: map[string]int64{}, Units: map[string]int64{}} }
	all := AtStake{sum(), sum(), sum()}
	for _, e := range t.Effects() {
		switch e.Holding {
		case Nothing:
		case Held:
			all.Held.add(e.Stake)
		case Taken:
			all.Taken.add(e.Stake)
		default:
			all.Unsure.add(e.Stake)
		}
	}
	return all
}

func (s Sum) add(stake participant.Stake) {
	if stake.Amount != 0 {
		s.Money[stake.Currency] += stake.Amount
	}
	for _, u := range stake.Units {
		s.Units[u.SKU] += u.Quantity
	}
}
