package saga

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// What can happen to a call.
const (
	fine      = iota
	no        // refused for good
	lost      // the request never arrives
	replyLost // it arrives, the reply does not
	late      // it arrives after the next call
	twice
	crash // it arrives, and the coordinator dies before it stores the outcome
	fates
)

var (
	errUnknown = errors.New("no reply")
	errNo      = fmt.Errorf("%w: no", participant.ErrRefused)
)

// service is a participant with a barrier, as a model.
type service struct {
	state  string // "", tried, confirmed, cancelled, void, gone
	broken map[barrier.Op]bool
}

// has is what is out: nothing, held or taken.
func (s *service) has(k Kind) Holding {
	switch {
	case s.state == "tried" && k == Saga:
		return Taken
	case s.state == "tried":
		return Held
	case s.state == "confirmed":
		return Taken
	}
	return Nothing
}

// did reports whether a call had its effect before.
func (s *service) did(op barrier.Op) bool {
	switch op {
	case barrier.Try:
		return s.state == "tried" || s.state == "confirmed"
	case barrier.Confirm:
		return s.state == "confirmed"
	}
	return s.state == "cancelled" || s.state == "void"
}

// receive does what a participant does, and answers.
func (s *service) receive(op barrier.Op) error {
	if s.broken[op] {
		return errNo
	}
	switch op {
	case barrier.Try:
		if s.state == "" {
			s.state = "tried"
		} else if s.state == "cancelled" || s.state == "void" || s.state == "gone" {
			return errNo
		}
	case barrier.Confirm:
		if s.state == "tried" {
			s.state = "confirmed"
		} else if s.state != "confirmed" {
			return errNo
		}
	case barrier.Cancel:
		switch s.state {
		case "":
			s.state = "void"
		case "tried":
			s.state = "cancelled"
		case "confirmed":
			return errNo
		}
	}
	return nil
}

// meet lets the fate of a call happen and returns what the coordinator hears, and what arrives later.
func (s *service) meet(op barrier.Op, fate int) (later func(), heard error) {
	switch fate {
	case no: // for good: whatever comes later is refused too; what was done is not refused
		if s.did(op) {
			return nil, nil
		}
		s.broken[op] = true
		if op == barrier.Confirm && s.state == "tried" {
			s.state = "gone" // such as a hold whose time is over
		}
		return nil, s.receive(op)
	case lost:
		return nil, errUnknown
	case replyLost:
		s.receive(op)
		return nil, errUnknown
	case late:
		return func() { s.receive(op) }, errUnknown
	case twice:
		s.receive(op)
	}
	return nil, s.receive(op)
}

// world is one run: a transaction, its services, and the fates that are left. Whatever comes after them is fine.
type world struct {
	t        *Transaction
	services []*service
	fates    []int
	later    []func()
	now      time.Time
	tell     bool
	log      []string
}

func newWorld(kind Kind, beside bool, fates []int) *world {
	w := &world{t: &Transaction{ID: "t", Kind: kind, Recovery: Backward, Began: time.Unix(0, 0), Deadline: time.Unix(60, 0)}, fates: fates, now: time.Unix(0, 0)}
	for i := range 2 {
		w.services = append(w.services, &service{broken: map[barrier.Op]bool{}})
		stage := i
		if beside {
			stage = 0
		}
		w.t.Branches = append(w.t.Branches, Branch{Name: [...]string{"b0", "b1"}[i], Stage: stage, State: BranchWaiting,
			Stake: participant.Stake{Amount: int64(100 + i), Currency: "EUR", Units: []participant.Unit{{SKU: "lamp", Quantity: int64(1 + i)}}}})
	}
	w.t.turn(w.now, Trying, "")
	w.t.enter(BranchTrying, false, BranchWaiting)
	return w
}

func (w *world) fate() int {
	if len(w.fates) == 0 {
		return fine
	}
	f := w.fates[0]
	w.fates = w.fates[1:]
	return f
}

// run drives the transaction as the coordinator does, through crashes, until it ends.
func (w *world) run(lim limits) error {
	for n := 0; w.t.State.moves(); n++ {
		if n > 60 {
			return errors.New("it does not end")
		}
		op, at := w.t.calls()
		if len(at) == 0 {
			return fmt.Errorf("%s with nothing to call", w.t.State)
		}
		if w.t.next.After(w.now) {
			w.now = w.t.next
		}
		dead := false
		outcome := make([]error, len(at))
		for k, i := range at {
			fate := w.fate()
			before := w.later
			w.later = nil
			var later func()
			later, outcome[k] = w.services[i].meet(op, fate)
			if w.tell {
				w.log = append(w.log, fmt.Sprintf("%s b%d fate %d: %v", op, i, fate, outcome[k]))
			}
			for _, f := range before {
				f()
			}
			if later != nil {
				w.later = append(w.later, later)
			}
			dead = dead || fate == crash
		}
		if dead {
			continue // the next coordinator finds what was stored before the call
		}
		w.t.apply(w.now, op, at, outcome, lim)
		w.t.fresh = nil
	}
	for _, f := range w.later {
		f()
	}
	return nil
}

// agrees are what may be true when the coordinator says so.
var agrees = map[Holding][]Holding{
	Nothing: {Nothing}, Held: {Held}, Taken: {Taken}, PerhapsHeld: {Nothing, Held}, PerhapsTaken: {Nothing, Taken},
	HeldOrTaken: {Held, Taken, Nothing}, HeldOrReturned: {Held, Nothing}, TakenOrReturned: {Taken, Held, Nothing},
}

// judge says what is wrong with the end.
func (w *world) judge() error {
	stake := w.t.AtStake()
	var sure, most int64
	for i, e := range w.t.Effects() {
		has := w.services[i].has(w.t.Kind)
		if !slices.Contains(agrees[e.Holding], has) {
			return fmt.Errorf("%s: b%d is said to have %q and has %q", w.t.State, i, e.Holding, has)
		}
		want := map[State]Holding{Confirmed: Taken, Cancelled: Nothing}[w.t.State]
		if want != "" && (has != want || e.Holding != want) {
			return fmt.Errorf("%s, but b%d has %q and is said to have %q", w.t.State, i, has, e.Holding)
		}
		if has != Nothing {
			most += e.Stake.Amount
		}
		if e.Holding == Held || e.Holding == Taken {
			sure += e.Stake.Amount
		}
	}
	told := stake.Held.Money["EUR"] + stake.Taken.Money["EUR"]
	if told != sure || told+stake.Unsure.Money["EUR"] < most {
		return fmt.Errorf("at stake is said to be %v, out are %d surely, %d at most", stake, sure, most)
	}
	return nil
}

// Every interleaving of fates over the first six calls ends with all effects, with none, or as a case for a person whose sum at
// stake is right, whatever comes late, twice, out of order, not at all, and whenever the coordinator dies.
func TestEveryInterleaving(t *testing.T) {
	t.Parallel()
	const depth = 6
	lim := limits{tries: 2, pause: func(int) time.Duration { return time.Second }}
	for name, start := range map[string]func([]int) *world{
		"tcc": func(f []int) *world { return newWorld(TCC, false, f) }, "tcc beside": func(f []int) *world { return newWorld(TCC, true, f) },
		"saga": func(f []int) *world { return newWorld(Saga, false, f) }, "saga beside": func(f []int) *world { return newWorld(Saga, true, f) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := map[State]int{}
			fate := make([]int, depth)
			for more := true; more; more = count(fate) {
				w := start(fate)
				err := w.run(lim)
				if err == nil {
					err = w.judge()
				}
				if err != nil {
					w = start(fate)
					w.tell = true
					_ = w.run(lim)
					t.Fatalf("fates %v: %v\n%v", fate, err, w.log)
				}
				ends[w.t.State]++
			}
			t.Logf("%d interleavings: %v", power(fates, depth), ends)
			if ends[Confirmed] == 0 || ends[Cancelled] == 0 || ends[NeedsHuman] == 0 {
				t.Errorf("some end was never reached: %v", ends)
			}
		})
	}
}

// count goes to the next list of fates; false after the last.
func count(fate []int) bool {
	for i := range fate {
		if fate[i]++; fate[i] < fates {
			return true
		}
		fate[i] = 0
	}
	return false
}

func power(n, k int) int {
	p := 1
	for range k {
		p *= n
	}
	return p
}
