package saga

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"penstock/internal/clock"
	"penstock/internal/fault"
)

// Options tunes a coordinator. The zero value is good.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Timeout bounds the trying of a transaction that names none; 0 means 30 s.
	Timeout time.Duration
	// CallTimeout bounds one call to a participant; 0 means 3 s.
	CallTimeout time.Duration
	// Tries is how often a branch is called in a phase before a person is asked; 0 means 12.
	Tries int
	// Backoff is the pause after the first try that did not tell; it doubles up to MaxBackoff, and each pause is shortened by up
	// to half of it at random. 0 means 200 ms and 30 s: with 12 tries about two minutes.
	Backoff, MaxBackoff time.Duration
	// Random returns a number in [0, 1); nil means that of the process.
	Random func() float64
	// ScanEvery is the pause between two looks for transactions to take up; 0 means 500 ms.
	ScanEvery time.Duration
	// Workers is how many transactions are worked on at a time; 0 means 16.
	Workers int
	// Fault has the points of [Points].
	Fault *fault.Points

	// Ended is called once for each transaction that this process brought to an end or to a person. It must not block.
	Ended func(State)
	// Counted is called every few seconds with the number of transactions in each state. It must not block.
	Counted func(map[State]int64)
}

// Points returns the names of the fault points: after a transaction was stored, before calls, after calls, after a step was
// stored. An error there abandons the transaction as if the process had died.
func Points() []string {
	return []string{pointBegun, pointCall, pointCalled, pointSaved}
}

const (
	pointBegun  = "saga.begun"
	pointCall   = "saga.call"
	pointCalled = "saga.called"
	pointSaved  = "saga.saved"
)

// Validate names the first field that is out of range and what is allowed.
func (o Options) Validate() error {
	for _, f := range []struct {
		name     string
		val, max time.Duration
	}{
		{"Timeout", o.Timeout, 24 * time.Hour}, {"CallTimeout", o.CallTimeout, 10 * time.Minute}, {"Backoff", o.Backoff, time.Hour},
		{"MaxBackoff", o.MaxBackoff, 24 * time.Hour}, {"ScanEvery", o.ScanEvery, time.Minute},
	} {
		if f.val < 0 || f.val > f.max {
			return fmt.Errorf("saga option %s is %v, allowed is 0 to %v", f.name, f.val, f.max)
		}
	}
	if o.Tries < 0 || o.Tries > 1000 || o.Workers < 0 || o.Workers > 1000 {
		return fmt.Errorf("saga options Tries and Workers are %d and %d, allowed is 0 to 1000", o.Tries, o.Workers)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, 3*time.Second)
	o.Tries = cmp.Or(o.Tries, 12)
	o.Backoff = cmp.Or(o.Backoff, 200*time.Millisecond)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 30*time.Second)
	o.ScanEvery = cmp.Or(o.ScanEvery, 500*time.Millisecond)
	o.Workers = cmp.Or(o.Workers, 16)
	if o.Ended == nil {
		o.Ended = func(State) {}
	}
	if o.Counted == nil {
		o.Counted = func(map[State]int64) {}
	}
	return o
}

// pause is how long to wait after so many tries.
func (o Options) pause(tries int) time.Duration {
	d := o.MaxBackoff
	if shift := max(tries-1, 0); shift < 30 {
		d = min(d, o.Backoff<<shift)
	}
	return d - time.Duration(o.Random()*float64(d)/2)
}

// lease is how long a process that works on a transaction keeps others away between two writes. Being overtaken does no harm.
func (o Options) lease() time.Duration { return 2*o.CallTimeout + 2*time.Second }
