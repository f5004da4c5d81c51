package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"penstock/bus/driver"
)

// waves deals a batch out so that each wave holds at most one message of a user, and holds back a user after his failure.
type waves struct {
	users map[string]*userQueue
	// active are the users that still have messages to hand out, in order of first appearance.
	active []*userQueue
	// aside are the messages to park, in the order in which each user's must wait.
	aside []driver.Parked
}

type userQueue struct {
	rest []driver.Message
	held bool
}

// newWaves sets aside the messages of users that already have parked ones.
func newWaves(batch []driver.Message, waiting map[string]bool, now time.Time) *waves {
	w := &waves{users: make(map[string]*userQueue, len(batch))}
	for _, m := range batch {
		if waiting[m.User] {
			w.aside = append(w.aside, driver.Parked{Message: m, Due: now})
			continue
		}
		q := w.users[m.User]
		if q == nil {
			q = &userQueue{}
			w.users[m.User] = q
			w.active = append(w.active, q)
		}
		q.rest = append(q.rest, m)
	}
	return w
}

// next returns the next message of every user that is not held back; empty when done.
func (w *waves) next() []driver.Message {
	var wave []driver.Message
	still := w.active[:0]
	for _, q := range w.active {
		if q.held || len(q.rest) == 0 {
			continue
		}
		wave = append(wave, q.rest[0])
		q.rest = q.rest[1:]
		still = append(still, q)
	}
	w.active = still
	return wave
}

// hold sets aside the failed message and all later ones of its user.
func (w *waves) hold(failed driver.Parked, now time.Time) {
	q := w.users[failed.Message.User]
	q.held = true
	w.aside = append(w.aside, failed)
	for _, m := range q.rest {
		w.aside = append(w.aside, driver.Parked{Message: m, Due: now})
	}
}

// process handles a poll batch and commits it. On error nothing is committed and the batch will be delivered again.
func (s *subscription) process(ctx context.Context, batch []driver.Message) error {
	users, err := s.bus.store.Users(ctx, s.group)
	if err != nil {
		return fmt.Errorf("read the users with parked messages: %w", err)
	}
	waiting := make(map[string]bool, len(users))
	for _, u := range users {
		waiting[u] = true
	}
	w := newWaves(batch, waiting, s.bus.clock.Now())
	var done Counts
	for wave := w.next(); len(wave) > 0; wave = w.next() {
		if err := s.settleWave(ctx, w, wave, &done); err != nil {
			return err
		}
	}
	if err := s.bus.fault.Hit(PointHandled); err != nil {
		return err
	}
	if len(w.aside) > 0 {
		if err := s.bus.store.Park(ctx, s.group, w.aside); err != nil {
			return fmt.Errorf("park %d messages: %w", len(w.aside), err)
		}
		for _, p := range w.aside {
			s.due(p.Due)
		}
	}
	if err := s.bus.fault.Hit(PointParked); err != nil {
		return err
	}
	if err := s.current().Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	done.Parked = int64(len(w.aside))
	s.add(done)
	return s.bus.fault.Hit(PointCommitted)
}

func (s *subscription) settleWave(ctx context.Context, w *waves, wave []driver.Message, done *Counts) error {
	failures, err := s.handle(ctx, wave)
	if err != nil {
		return err
	}
	now := s.bus.clock.Now()
	var poison []driver.Outcome
	for i, m := range wave {
		cause := failures[i]
		switch {
		case cause == nil:
			done.Processed++
		case errors.Is(cause, ErrPoison):
			p := s.failed(driver.Parked{Message: m}, cause)
			poison = append(poison, driver.Outcome{Parked: p, Dead: s.letter(p, cause)})
		default:
			w.hold(s.failed(driver.Parked{Message: m}, cause), now)
		}
	}
	if len(poison) == 0 {
		return nil
	}
	if err := s.bus.store.Settle(ctx, s.group, poison); err != nil {
		return fmt.Errorf("bury %d poison messages: %w", len(poison), err)
	}
	done.Dead += int64(len(poison))
	s.announce(poison)
	return nil
}

// handle returns one error or nil per message. Its own error means that the handler was cut off and its answers mean nothing.
func (s *subscription) handle(ctx context.Context, msgs []driver.Message) ([]error, error) {
	failures, panicked := s.call(ctx, msgs)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("handler cut off: %w", err)
	}
	if panicked && len(msgs) > 1 {
		mid := len(msgs) / 2
		left, err := s.handle(ctx, msgs[:mid])
		if err != nil {
			return nil, err
		}
		right, err := s.handle(ctx, msgs[mid:])
		return append(left, right...), err
	}
	if n := len(failures); n != 0 && n != len(msgs) {
		err := fmt.Errorf("handler returned %d errors for %d messages", n, len(msgs))
		return repeat(err, len(msgs)), nil
	}
	if failures == nil {
		failures = make([]error, len(msgs))
	}
	s.warn(msgs, failures)
	return failures, nil
}

// warn logs the failures of one call of the handler as one line, so that an outage does not flood the log.
func (s *subscription) warn(msgs []driver.Message, failures []error) {
	first, n := -1, 0
	for i, err := range failures {
		if err != nil {
			if n++; first < 0 {
				first = i
			}
		}
	}
	if n > 0 {
		m := msgs[first]
		s.logger().Warn("messages failed", "failed", n, "of", len(msgs), "message", m.ID, "type", m.Type, "key", m.Key,
			"error", text(failures[first]))
	}
}

// call runs the handler and turns a panic into a failure. The stack goes to the log only.
func (s *subscription) call(ctx context.Context, msgs []driver.Message) (failures []error, panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			s.logger().Error("handler panicked", "panic", fmt.Sprint(v), "messages", len(msgs), "first", msgs[0].ID,
				"stack", string(debug.Stack()))
			failures, panicked = repeat(fmt.Errorf("handler panicked: %v", v), len(msgs)), true
		}
	}()
	return s.handler(ctx, msgs), false
}

func repeat(err error, n int) []error {
	all := make([]error, n)
	for i := range all {
		all[i] = err
	}
	return all
}
