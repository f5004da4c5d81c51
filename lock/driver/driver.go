// Package driver is the port between the lock's policy and the stores that keep locks: who holds a name, and until when. It
// decides nothing about tokens, waiting or renewal; that is package lock.
package driver

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable says that the store did not answer: the call may have happened or not.
var ErrUnavailable = errors.New("lock store did not answer")

// Driver keeps locks. Each method is atomic, is bounded by its context, is safe for concurrent use, and returns errors that wrap
// ErrUnavailable when nothing is known. Owners are random and never used for two acquisitions.
type Driver interface {
	// Take gives the name to owner for ttl if nobody has it or owner has it already, and returns 0. Otherwise it changes nothing
	// and returns how long the present owner still has, more than 0.
	Take(ctx context.Context, name, owner string, ttl time.Duration) (left time.Duration, err error)
	// Renew sets the time left to ttl and returns true, only if owner has the name; otherwise it changes nothing.
	Renew(ctx context.Context, name, owner string, ttl time.Duration) (bool, error)
	// Release frees the name, wakes one who waits, and returns true, only if owner has it; otherwise it changes nothing.
	Release(ctx context.Context, name, owner string) (bool, error)
	// Await returns nil when a Take is worth trying: somebody released the name, or d is over. A release between a refused Take
	// and Await counts. Who waits longest is woken first. It may return early for no reason.
	Await(ctx context.Context, name string, d time.Duration) error
}
