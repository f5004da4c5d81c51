package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"penstock/cache/driver"
	"penstock/internal/clock"
)

// store bounds the calls of a driver in time, and leaves one that failed alone for a while, so that nobody waits for a store
// that is gone: then one call each silence finds out whether it is back.
type store struct {
	driver  driver.Driver
	clock   clock.Clock
	timeout time.Duration
	failed  *atomic.Int64
	retryAt atomic.Int64 // nanoseconds of the clock; 0 while all is well
}

const silence = 500 * time.Millisecond

var errSilent = errors.New("left alone after a failure")

func (s *store) healthy() bool { return s.retryAt.Load() == 0 }

func (s *store) call(ctx context.Context, f func(context.Context) error) error {
	if at := s.retryAt.Load(); at != 0 {
		now := s.clock.Now()
		if now.UnixNano() < at || !s.retryAt.CompareAndSwap(at, now.Add(silence).UnixNano()) {
			return fmt.Errorf("%w: %w", driver.ErrUnavailable, errSilent)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(bounded)
	switch {
	case err == nil:
		if !s.healthy() {
			s.retryAt.Store(0)
		}
	case ctx.Err() == nil: // else the caller went away, which says nothing of the store
		s.failed.Add(1)
		s.retryAt.Store(s.clock.Now().Add(silence).UnixNano())
	}
	return err
}

func (s *store) get(ctx context.Context, key Key) (raw []byte, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		raw, err = s.driver.Get(ctx, key.String())
		return err
	})
	return raw, err
}

func (s *store) begin(ctx context.Context, key Key, token string, ttl time.Duration) (leased bool, raw []byte, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		leased, raw, err = s.driver.Begin(ctx, key.String(), token, ttl)
		return err
	})
	return leased, raw, err
}

// fill reports whether the value was stored, or was too old to be.
func (s *store) fill(key Key, token string, e entry) (stored bool, err error) {
	raw, ttl := e.marshal(), e.hard.Sub(s.clock.Now())
	if ttl <= 0 {
		raw = nil
	}
	err = s.call(context.Background(), func(ctx context.Context) error {
		stored, err = s.driver.Fill(ctx, key.String(), token, raw, ttl)
		return err
	})
	return stored, err
}

func (s *store) abandon(key Key, token string) {
	_ = s.call(context.Background(), func(ctx context.Context) error {
		_, err := s.driver.Fill(ctx, key.String(), token, nil, 0)
		return err
	})
}

// drop is tried even while the store is left alone: it must not be missed.
func (s *store) drop(ctx context.Context, key Key) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.driver.Drop(bounded, key.String())
}
