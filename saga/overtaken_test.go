package saga_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/saga"
	"penstock/saga/participant"
)

// stalled is a participant whose first try does not return before it is let go, and then tells nothing.
type stalled struct {
	participant.Participant
	once    sync.Once
	reached chan struct{}
	let     chan struct{}
}

// Stake passes on.
func (s *stalled) Stake(payload json.RawMessage) (participant.Stake, error) {
	return s.Participant.(participant.Staker).Stake(payload)
}

func (s *stalled) Try(ctx context.Context, b participant.Branch) error {
	first := false
	s.once.Do(func() { first = true })
	if !first {
		return s.Participant.Try(ctx, b)
	}
	close(s.reached)
	<-s.let
	return errLost
}

// A coordinator that was paused past its lease changes nothing any more: what its successor has ended stays as it is, with one
// end and one timeline.
func testOvertaken(t *testing.T, e engine) {
	w := newTown(t, e)
	door := &stalled{Participant: w.purses[0], reached: make(chan struct{}), let: make(chan struct{})}
	parts := map[string]participant.Participant{"left": door, "right": w.nets[1]}
	var ends atomic.Int64
	o := saga.Options{Clock: w.clock, Timeout: 10 * time.Minute, Ended: func(saga.State) { ends.Add(1) }}
	slow, err := saga.New(w.log, parts, nil, o)
	check(t, err)
	_, _, err = slow.Begin(t.Context(), spec("paused", "3", "2"))
	check(t, err)
	<-door.reached
	next, err := saga.New(w.log, parts, nil, o)
	check(t, err)
	check(t, next.Start(t.Context()))
	t.Cleanup(next.Stop)
	if tx := w.until(next, "paused"); tx.State != saga.Confirmed {
		t.Errorf("%s %s", tx.State, tx.Reason)
	}
	before, steps, err := next.Get(t.Context(), "paused")
	check(t, err)
	close(door.let)
	after, err := slow.Wait(t.Context(), "paused") // returns when the slow one has let go
	check(t, err)
	slow.Stop()
	_, now, err := next.Get(t.Context(), "paused")
	check(t, err)
	if after.State != saga.Confirmed || after.Version != before.Version || !slices.Equal(now, steps) || ends.Load() != 1 {
		t.Errorf("it was %s at version %d with %d steps, and is %s at version %d with %d steps; it ended %d times",
			before.State, before.Version, len(steps), after.State, after.Version, len(now), ends.Load())
	}
}
