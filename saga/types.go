package saga

import (
	"encoding/json"
	"time"

	"penstock/saga/participant"
)

// Kind says how a transaction ends well.
type Kind string

// Kinds. A TCC confirms its branches once all were tried. A saga's try is the effect itself, and its cancel undoes it.
const (
	TCC  Kind = "tcc"
	Saga Kind = "saga"
)

// Recovery says what follows a step that failed.
type Recovery string

// Recoveries. Backward compensates in reverse order. Forward, for sagas, goes on until the step is done.
const (
	Backward Recovery = "backward"
	Forward  Recovery = "forward"
)

// State is the state of a transaction.
type State string

// States.
const (
	Trying     State = "trying"
	Confirming State = "confirming"
	Confirmed  State = "confirmed"
	Cancelling State = "cancelling"
	Cancelled  State = "cancelled"
	NeedsHuman State = "needs_human"
)

// States returns every state.
func States() []State {
	return []State{Trying, Confirming, Confirmed, Cancelling, Cancelled, NeedsHuman}
}

// moves reports whether the coordinator has something to do.
func (s State) moves() bool { return s == Trying || s == Confirming || s == Cancelling }

// BranchState is what the coordinator knows of a branch.
type BranchState string

// Branch states. Those in -ing mean that a call was or may have been made and its outcome is not known.
const (
	BranchWaiting    BranchState = "waiting" // no call was made
	BranchTrying     BranchState = "trying"
	BranchRefused    BranchState = "refused" // a definite no to the try
	BranchHeld       BranchState = "held"
	BranchConfirming BranchState = "confirming"
	BranchTaken      BranchState = "taken"
	BranchCancelling BranchState = "cancelling"
	BranchReturned   BranchState = "returned"
)

// Spec begins a transaction.
type Spec struct {
	// ID is the caller's key of the transaction, 1 to 64 bytes of A–Z a–z 0–9 _ -; "" makes one. The same id with the same
	// spec is the same transaction.
	ID       string
	Kind     Kind     // "" means TCC
	Recovery Recovery // "" means Backward
	// Timeout bounds the trying; 0 means Options.Timeout.
	Timeout  time.Duration
	Branches []BranchSpec
	// Who begins it, and the W3C traceparent of the call, or "".
	Who, Trace string
}

// BranchSpec is one branch to be. Branches are tried and confirmed in the order of the list, and cancelled in reverse.
type BranchSpec struct {
	Name        string
	Participant string
	Payload     json.RawMessage
	// Beside says that the branch runs beside the one before it instead of after it.
	Beside bool
	// Stake is what the branch puts at stake, where its participant cannot read that from the payload.
	Stake participant.Stake
}

// Transaction is a transaction as it is now.
type Transaction struct {
	Seq      int64    `json:"-"`
	ID       string   `json:"id"`
	Kind     Kind     `json:"kind"`
	Recovery Recovery `json:"recovery"`
	State    State    `json:"state"`
	// From is the state that a transaction came from when it became needs_human.
	From    State `json:"from,omitempty"`
	Version int64 `json:"-"`
	// Reason says why it cancels or needs a human.
	Reason   string    `json:"reason,omitempty"`
	Who      string    `json:"who,omitempty"`
	Trace    string    `json:"trace,omitempty"`
	Began    time.Time `json:"began"`
	Deadline time.Time `json:"deadline"`
	Ended    time.Time `json:"ended,omitzero"`
	Branches []Branch  `json:"branches"`
	// Steps is how many steps the timeline has.
	Steps int64 `json:"steps"`

	next  time.Time // when it is looked at again
	fresh []Step    // steps not stored yet
}

// Branch is one participant's part.
type Branch struct {
	Name        string            `json:"name"`
	Participant string            `json:"participant"`
	Stage       int               `json:"stage"` // branches of a stage run side by side
	Payload     json.RawMessage   `json:"payload,omitempty"`
	Stake       participant.Stake `json:"stake,omitzero"`
	State       BranchState       `json:"state"`
	// Was is the state before the call whose outcome is not known.
	Was BranchState `json:"was,omitempty"`
	// Tries counts the calls of the present phase; No says that the last one was refused for good.
	Tries int    `json:"tries,omitempty"`
	No    bool   `json:"no,omitempty"`
	Error string `json:"error,omitempty"`
}

// Step is one entry of a transaction's timeline.
type Step struct {
	N      int64
	At     time.Time
	What   string // such as "try done", "confirm refused", "cancelling", "resolve retry"
	Branch string
	Who    string
	Detail string
}
