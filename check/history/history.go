// Package history is the format in which a load generator writes down what it asked and what it was told, so that a stranger
// can judge a server by its own answers.
//
// A history is a file of JSON lines. Every call has two: one with phase "send", written before the first byte leaves, and one
// with phase "recv", written when the answer is there. A send without a recv is a call whose outcome nobody knows. Lines of
// different calls mix freely; the two lines of a call share client and call. Times are RFC 3339 UTC of the client's clock.
//
// A [Writer] survives the death of the server, not of its own machine: lines are flushed every so often, never synced. Writers
// are safe for concurrent use; [Scan] is not.
package history

import (
	"time"
)

// Phase tells the two lines of a call apart.
type Phase string

// Phases.
const (
	Send Phase = "send"
	Recv Phase = "recv"
)

// Op says what was asked.
type Op string

// Operations. Buy posts an attempt, Ask reads the state of a key, the others act on the order that was won.
const (
	Buy    Op = "buy"
	Ask    Op = "ask"
	Pay    Op = "pay"
	Cancel Op = "cancel"
)

// Record is one line.
type Record struct {
	Phase Phase
	Seed  int64
	// Client numbers the connection or worker that made the call, Call the call; together they are unique in a history.
	Client int
	Call   uint64
	Sale   string
	User   string
	Key    string
	Op     Op
	SKU    string // "" for a cart of several SKUs
	Qty    int64
	// TSend is when the call was begun; TRecv is zero in a send line.
	TSend, TRecv time.Time
	// Status is the HTTP status; 0 means that no answer came (timeout, reset, refused connection).
	Status int
	// Problem is the last element of the problem type of the answer, or "".
	Problem string
	// State is "won", "lost" or "unknown" where the answer says so, or the state of the order or payment.
	State string
	// Order and Amount are what the answer promised; Amount is in minor units.
	Order  string
	Amount int64
	// Replayed is true when the answer was marked as a replay.
	Replayed bool
}

// Outcome is what the client may conclude from one call.
type Outcome uint8

// Outcomes. Unknown may have happened; Nack is a definite no to this request, and says nothing of an earlier use of its key.
const (
	Unknown Outcome = iota
	Ack
	Nack
)

func (o Outcome) String() string { return [...]string{"unknown", "ack", "nack"}[o] }

// Outcome classifies a recv line of a [Buy] or an [Ask].
func (r *Record) Outcome() Outcome { return Classify(r.Op, r.Status, r.Problem, r.State, r.Order) }

// Classify tells what the client may conclude from an answer: Ack names an order, Nack is a definite no, everything else may have
// happened. For an [Ask], 404 and "lost" are the definite noes.
func Classify(op Op, status int, problem, state, order string) Outcome {
	switch {
	case status == 200 || status == 201:
		if op == Ask && state == "lost" {
			return Nack
		}
		if order != "" && state != "unknown" && state != "lost" {
			return Ack
		}
		return Unknown
	case problem == "key-in-progress":
		return Unknown
	case status >= 400 && status < 500 && status != 408:
		return Nack
	case status == 408 && problem == "request-timeout", status == 503 && problem == "reduced-capacity":
		return Nack
	}
	return Unknown
}

// Final reports whether a definite no ends the wish: asking again with the same key is pointless.
func Final(problem string) bool {
	switch problem {
	case "sold-out", "limit-reached", "sale-closed", "key-reused", "invalid-request", "unauthenticated", "forbidden", "not-found":
		return true
	}
	return false
}

// NoStock reports whether the buyer was refused because nothing was free.
func NoStock(problem string) bool {
	return problem == "sold-out" || problem == "stock-held" || problem == "not-enough-left"
}
