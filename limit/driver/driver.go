// Package driver is the port of the limits: what counts the calls of all instances together. Policy (which rules a call meets,
// what happens while nobody answers) stays in package limit; a driver decides counters.
package driver

import (
	"context"
	"fmt"
	"time"
)

// Algorithm says how a rate is measured.
type Algorithm uint8

const (
	// SlidingWindow allows at most Calls in any stretch of time as long as Per.
	SlidingWindow Algorithm = iota
	// TokenBucket allows Burst calls at once and gives one call back every Per/Calls.
	TokenBucket
	// LeakyBucket lets one call go on every Per/Calls; up to Burst more wait for their turn.
	LeakyBucket
)

var names = [...]string{SlidingWindow: "sliding-window", TokenBucket: "token-bucket", LeakyBucket: "leaky-bucket"}

func (a Algorithm) String() string { return names[int(a)%len(names)] }

// MarshalText writes the name.
func (a Algorithm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a name; "" is the sliding window.
func (a *Algorithm) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = SlidingWindow
		return nil
	}
	for i, name := range names {
		if name == string(text) {
			*a = Algorithm(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not an algorithm: write sliding-window, token-bucket or leaky-bucket", text)
}

// Plan is an algorithm with its numbers. It is comparable.
type Plan struct {
	Algorithm Algorithm
	// Calls per Per; both are above 0.
	Calls int
	Per   time.Duration
	// Burst is the size of a token bucket (at least 1) or how many calls may wait in a leaky one (0 or more).
	Burst int
}

// Span is after how long without a call a counter is as good as new.
func (p Plan) Span() time.Duration {
	switch p.Algorithm {
	case TokenBucket:
		return time.Duration(float64(p.Burst) / float64(p.Calls) * float64(p.Per))
	case LeakyBucket:
		return time.Duration(float64(p.Burst+1) / float64(p.Calls) * float64(p.Per))
	}
	return p.Per + p.Per/Parts + 1
}

// Sliding windows are exact up to ExactCalls; above, their period is cut into Parts pieces, and one more is kept.
const (
	ExactCalls = 16
	Parts      = 15
)

// Ask is one counter that a call wants to take from.
type Ask struct {
	// Key names the counter. Counters of one key with two plans have nothing to do with each other.
	Key  string
	Plan Plan
}

// Answer is what one counter says. Remaining and Reset are those after the call if it is allowed.
type Answer struct {
	// Remaining is how many more calls are allowed at once; 0 for a refusal.
	Remaining int
	// Reset is how long until Remaining grows; 0 when it is whole.
	Reset time.Duration
	// Retry is how long this counter refuses; 0 when it does not.
	Retry time.Duration
	// Wait is how long an allowed call has to be held back; only a leaky bucket asks for it.
	Wait time.Duration
}

// Driver keeps counters that several instances share. Safe for concurrent use.
type Driver interface {
	// Take counts the call in all counters if each of them has room, else in none, as one step that nothing comes between.
	// answers[i] is filled for asks[i]; the call is allowed if no answer has a Retry. After an error nothing is known: the call
	// may have been counted. It returns within a bound of the driver's own, tens of milliseconds, or when ctx ends.
	Take(ctx context.Context, asks []Ask, answers []Answer) error
	// Instances is how many instances share the counters now, this one included, as far as is known; at least 1.
	Instances() int
}
