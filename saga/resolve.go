package saga

import (
	"context"
	"errors"
	"slices"
	"time"

	"penstock/errs"
)

// Action is what a person decides about a transaction that needs one.
type Action string

// Actions. Retry goes on where it stood. Confirm and Cancel force the direction, whatever was decided before.
const (
	Retry        Action = "retry"
	ForceConfirm Action = "confirm"
	ForceCancel  Action = "cancel"
)

// Resolution is such a decision.
type Resolution struct {
	Action Action
	// Settled are branches that were put right by hand: they are not called any more, and count as the action says.
	Settled     []string
	Who, Reason string
}

// Resolve lets a transaction that needs a human go on, with all tries before it. It is errs.IllegalTransition for one that does
// not, and for a branch that cannot go where it is forced. It is in the timeline, with who and why, in the same commit.
func (c *Coordinator) Resolve(ctx context.Context, id string, r Resolution) (before, after *Transaction, err error) {
	if r.Reason == "" {
		return nil, nil, fields("/reason", "the trail wants to know why")
	}
	if before, _, err = load(ctx, c.store, id); err != nil {
		return nil, nil, err
	}
	t := *before
	t.Branches = slices.Clone(before.Branches)
	if t.State != NeedsHuman {
		return nil, nil, errs.New(errs.IllegalTransition, "transaction %s is %s; only one that needs a human is resolved", id, t.State)
	}
	now := c.o.Clock.Now()
	t.note(now, "resolve "+string(r.Action), "", r.Reason)
	t.fresh[0].Who = r.Who
	if err = t.settle(r); err == nil {
		err = t.direct(r)
	}
	if err != nil {
		return nil, nil, err
	}
	// An empty call lets what has nothing left to do end at once.
	op, _ := t.calls()
	t.apply(now, op, nil, nil, limits{c.o.Tries, c.o.pause})
	t.next = now
	err = save(ctx, c.store, &t)
	if errors.Is(err, errOvertaken) {
		err = errs.New(errs.Conflict, "transaction %s has changed meanwhile; look at it again", id)
	}
	if err != nil {
		return nil, nil, err
	}
	if !t.State.moves() {
		c.ended(&t)
		return before, &t, nil
	}
	after = new(Transaction)
	*after = t
	after.Branches = slices.Clone(t.Branches)
	c.work(&t, func() {})
	return before, after, nil
}

// settle marks what was put right by hand.
func (t *Transaction) settle(r Resolution) error {
	for _, name := range r.Settled {
		i := slices.IndexFunc(t.Branches, func(b Branch) bool { return b.Name == name })
		if i < 0 {
			return fields("/settled", "there is no branch %q", name)
		}
		b := &t.Branches[i]
		switch {
		case r.Action == ForceConfirm || r.Action == Retry && t.From == Confirming:
			b.State = BranchTaken
		case r.Action == ForceCancel || r.Action == Retry && t.From == Cancelling:
			b.State = BranchReturned
		default:
			b.State = t.done("")
		}
		b.Was, b.Tries, b.No, b.Error = "", 0, false, ""
		t.note(t.fresh[0].At, "settled by hand", name, r.Reason)
		t.fresh[len(t.fresh)-1].Who = r.Who
	}
	return nil
}

// direct sets where the transaction goes.
func (t *Transaction) direct(r Resolution) error {
	for i := range t.Branches {
		t.Branches[i].Tries, t.Branches[i].No = 0, false
	}
	now := t.fresh[0].At
	switch r.Action {
	case Retry:
		if t.From == Trying {
			return t.forward(now)
		}
		t.turn(now, t.From, t.Reason)
	case ForceConfirm:
		if t.Kind == Saga {
			return t.forward(now)
		}
		for i := range t.Branches {
			b := &t.Branches[i]
			if b.State == BranchCancelling {
				b.State = b.Was // it may be held still
			}
			if !b.in([]BranchState{BranchHeld, BranchConfirming, BranchTaken}) {
				return errs.New(errs.IllegalTransition, "branch %s is %s: it holds nothing that could be confirmed", b.Name, b.State)
			}
		}
		t.turn(now, Confirming, r.Reason)
	case ForceCancel:
		t.cancel(now, r.Reason)
	default:
		return fields("/action", "%q is none of retry, confirm, cancel", r.Action)
	}
	t.From = ""
	return nil
}

// forward makes a saga go on to its end. What was undone stays undone: a try after a cancel is refused by every participant.
func (t *Transaction) forward(now time.Time) error {
	for i := range t.Branches {
		b := &t.Branches[i]
		if b.in([]BranchState{BranchCancelling, BranchReturned}) {
			return errs.New(errs.IllegalTransition, "step %s is %s: it cannot be done again", b.Name, b.State)
		}
		if b.State == BranchRefused {
			b.State = BranchTrying
		}
	}
	t.Recovery, t.From = Forward, ""
	t.turn(now, Trying, "")
	return nil
}
