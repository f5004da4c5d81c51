package saga

import (
	"fmt"
	"time"

	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// limits are what the machine needs to know of the options.
type limits struct {
	tries int
	pause func(tries int) time.Duration
}

// calls returns the branches that are to be called now, and with what.
func (t *Transaction) calls() (op barrier.Op, at []int) {
	var in BranchState
	switch t.State {
	case Trying:
		op, in = barrier.Try, BranchTrying
	case Confirming:
		op, in = barrier.Confirm, BranchConfirming
	case Cancelling:
		op, in = barrier.Cancel, BranchCancelling
	}
	for i := range t.Branches {
		if in != "" && t.Branches[i].State == in {
			at = append(at, i)
		}
	}
	return op, at
}

// apply notes the outcomes of the calls at the given branches and moves on as far as they allow. It is pure but for t.
func (t *Transaction) apply(now time.Time, op barrier.Op, at []int, outcome []error, lim limits) {
	t.next = now
	for k, i := range at {
		b, err := &t.Branches[i], outcome[k]
		b.Tries++
		b.No, b.Error = participant.Refused(err), ""
		if err == nil {
			b.State, b.Was, b.Tries = t.done(op), "", 0
			t.note(now, string(op)+" done", b.Name, "")
			continue
		}
		b.Error = clip(err.Error())
		word := " not known"
		if b.No {
			word = " refused"
		}
		if op == barrier.Try && b.No {
			b.State, b.Was = BranchRefused, ""
		}
		t.note(now, string(op)+word, b.Name, b.Error)
	}
	switch t.State {
	case Trying:
		t.afterTry(now, lim)
	case Confirming:
		t.afterConfirm(now, lim)
	case Cancelling:
		t.afterCancel(now, lim)
	}
}

// done is the state of a branch whose call was answered yes.
func (t *Transaction) done(op barrier.Op) BranchState {
	switch {
	case op == barrier.Cancel:
		return BranchReturned
	case op == barrier.Confirm || t.Kind == Saga:
		return BranchTaken
	}
	return BranchHeld
}

func (t *Transaction) afterTry(now time.Time, lim limits) {
	if b := t.first(BranchRefused); b != nil {
		t.failed(now, fmt.Sprintf("%s refused: %s", b.Name, b.Error))
		return
	}
	if b := t.first(BranchTrying); b != nil {
		switch {
		case t.Recovery == Backward && !now.Before(t.Deadline):
			t.failed(now, fmt.Sprintf("%s was not known to be tried by the deadline", b.Name))
		case t.worn(BranchTrying, lim):
			t.failed(now, fmt.Sprintf("%s could not be tried: %s", b.Name, b.Error))
		default:
			t.wait(now, BranchTrying, lim)
		}
		return
	}
	if t.enter(BranchTrying, false, BranchWaiting) {
		return
	}
	if t.Kind == Saga {
		t.end(now, Confirmed)
		return
	}
	t.turn(now, Confirming, "")
	t.enter(BranchConfirming, false, BranchHeld)
}

// failed ends the trying.
func (t *Transaction) failed(now time.Time, why string) {
	if t.Recovery == Forward {
		t.human(now, why)
		return
	}
	t.cancel(now, why)
}

// cancel begins to give everything back, the last stage first. Branches that were never called have nothing to give.
func (t *Transaction) cancel(now time.Time, why string) {
	t.turn(now, Cancelling, why)
	if t.first(BranchCancelling) == nil && !t.enter(BranchCancelling, true, begun...) {
		t.end(now, Cancelled)
	}
}

// begun are the states of branches that may hold something. One that refused may have been tried twice, and held the second.
var begun = []BranchState{BranchTrying, BranchRefused, BranchHeld, BranchConfirming, BranchTaken}

func (t *Transaction) afterConfirm(now time.Time, lim limits) {
	open := t.first(BranchConfirming)
	switch {
	case open == nil:
		if !t.enter(BranchConfirming, false, BranchHeld) {
			t.end(now, Confirmed)
		}
	case t.refusedAll(BranchConfirming) && t.first(BranchTaken) == nil:
		// Later stages have not been asked: nothing is taken anywhere, so that going back is still whole.
		why := fmt.Sprintf("%s refused to confirm: %s", open.Name, open.Error)
		for i := range t.Branches {
			if b := &t.Branches[i]; b.State == BranchConfirming {
				b.State, b.Was = BranchRefused, BranchHeld
			}
		}
		t.cancel(now, why)
	case t.refusedAll(BranchConfirming), t.worn(BranchConfirming, lim):
		t.human(now, fmt.Sprintf("%s could not be confirmed: %s", open.Name, open.Error))
	default:
		t.wait(now, BranchConfirming, lim)
	}
}

func (t *Transaction) afterCancel(now time.Time, lim limits) {
	open := t.first(BranchCancelling)
	switch {
	case open == nil:
		if !t.enter(BranchCancelling, true, begun...) {
			t.end(now, Cancelled)
		}
	case t.refusedAll(BranchCancelling), t.worn(BranchCancelling, lim):
		t.human(now, fmt.Sprintf("%s could not be cancelled: %s", open.Name, open.Error))
	default:
		t.wait(now, BranchCancelling, lim)
	}
}

// first returns the first branch in a state, or nil.
func (t *Transaction) first(s BranchState) *Branch {
	for i := range t.Branches {
		if t.Branches[i].State == s {
			return &t.Branches[i]
		}
	}
	return nil
}

// refusedAll reports whether every branch in the state has definitely refused.
func (t *Transaction) refusedAll(s BranchState) bool {
	for i := range t.Branches {
		if t.Branches[i].State == s && !t.Branches[i].No {
			return false
		}
	}
	return true
}

// worn reports whether a branch in the state has used up its tries.
func (t *Transaction) worn(s BranchState, lim limits) bool {
	for i := range t.Branches {
		if t.Branches[i].State == s && t.Branches[i].Tries >= lim.tries {
			return true
		}
	}
	return false
}

// wait puts the next look off; the branch that has waited least often decides.
func (t *Transaction) wait(now time.Time, s BranchState, lim limits) {
	tries := 0
	for i := range t.Branches {
		if b := &t.Branches[i]; b.State == s && (tries == 0 || b.Tries < tries) {
			tries = b.Tries
		}
	}
	t.next = now.Add(lim.pause(tries))
	if t.State == Trying && t.Recovery == Backward && t.next.After(t.Deadline) {
		t.next = t.Deadline
	}
}

// enter moves the branches of the next stage that has some in one of the states, the first or the last such stage, to the
// state to. False means that there is none.
func (t *Transaction) enter(to BranchState, last bool, from ...BranchState) bool {
	stage, found := 0, false
	for i := range t.Branches {
		b := &t.Branches[i]
		if !b.in(from) {
			continue
		}
		if !found || last && b.Stage > stage || !last && b.Stage < stage {
			stage, found = b.Stage, true
		}
	}
	for i := range t.Branches {
		if b := &t.Branches[i]; found && b.Stage == stage && b.in(from) {
			b.Was, b.State, b.Tries, b.No = b.State, to, 0, false
		}
	}
	return found
}

func (b *Branch) in(states []BranchState) bool {
	for _, s := range states {
		if b.State == s {
			return true
		}
	}
	return false
}

func (t *Transaction) turn(now time.Time, to State, why string) {
	t.State, t.Reason, t.next = to, why, now
	t.note(now, string(to), "", why)
}

func (t *Transaction) end(now time.Time, to State) {
	why := t.Reason
	t.turn(now, to, why)
	t.Ended, t.From = now, ""
}

func (t *Transaction) human(now time.Time, why string) {
	t.From = t.State
	t.turn(now, NeedsHuman, why)
}

func (t *Transaction) note(now time.Time, what, branch, detail string) {
	t.Steps++
	t.fresh = append(t.fresh, Step{N: t.Steps, At: now, What: what, Branch: branch, Detail: detail})
}

// clip bounds what is kept of an error.
func clip(s string) string {
	const most = 500
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
