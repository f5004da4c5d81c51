// Package memorylock keeps locks in the memory of one process, for the embedded build: they end with the process, so nobody
// waits for a dead holder. It protects nothing from other processes.
package memorylock

import (
	"context"
	"sync"
	"time"

	"penstock/internal/clock"
	"penstock/lock/driver"
)

// Store is a driver. Those who contend share one Store. Safe for concurrent use.
type Store struct {
	clock clock.Clock

	mu    sync.Mutex
	slots map[string]*slot
}

// slot is a name that is held or waited for.
type slot struct {
	owner   string
	until   time.Time
	waiters int
	wake    chan struct{}
}

var _ driver.Driver = (*Store)(nil)

// New returns an empty store. A nil clock is the machine's.
func New(c clock.Clock) *Store {
	if c == nil {
		c = clock.Real{}
	}
	return &Store{clock: c, slots: map[string]*slot{}}
}

// at returns the slot of a name with a lapsed owner taken out. The caller holds mu.
func (s *Store) at(name string) *slot {
	sl := s.slots[name]
	if sl == nil {
		sl = &slot{wake: make(chan struct{}, 1)}
		s.slots[name] = sl
	}
	if sl.owner != "" && !s.clock.Now().Before(sl.until) {
		sl.owner = ""
	}
	return sl
}

// tidy forgets a slot that nobody holds or waits for. The caller holds mu.
func (s *Store) tidy(name string) {
	if sl := s.slots[name]; sl != nil && sl.owner == "" && sl.waiters == 0 {
		delete(s.slots, name)
	}
}

// Take implements driver.Driver.
func (s *Store) Take(_ context.Context, name, owner string, ttl time.Duration) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl, now := s.at(name), s.clock.Now()
	if sl.owner != "" && sl.owner != owner {
		return sl.until.Sub(now), nil
	}
	sl.owner, sl.until = owner, now.Add(ttl)
	return 0, nil
}

// Renew implements driver.Driver.
func (s *Store) Renew(_ context.Context, name, owner string, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tidy(name)
	sl := s.at(name)
	if sl.owner != owner {
		return false, nil
	}
	sl.until = s.clock.Now().Add(ttl)
	return true, nil
}

// Release implements driver.Driver.
func (s *Store) Release(_ context.Context, name, owner string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tidy(name)
	sl := s.at(name)
	if sl.owner != owner {
		return false, nil
	}
	sl.owner = ""
	select {
	case sl.wake <- struct{}{}: // receivers of a channel are served first come, first served
	default:
	}
	return true, nil
}

// Await implements driver.Driver.
func (s *Store) Await(ctx context.Context, name string, d time.Duration) error {
	s.mu.Lock()
	sl := s.at(name)
	if sl.owner == "" {
		s.tidy(name)
		s.mu.Unlock()
		return ctx.Err()
	}
	sl.waiters++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		sl.waiters--
		s.tidy(name)
		s.mu.Unlock()
	}()
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-sl.wake:
		return nil
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Flush forgets all locks, as a store does that lost its memory.
func (s *Store) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sl := range s.slots {
		sl.owner = ""
		s.tidy(name)
	}
}
