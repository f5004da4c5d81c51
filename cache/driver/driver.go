// Package driver is the port between the cache's policy and the stores behind it: bytes under a key until a time, a short load
// lease per key, and marks of ids that came into being. Freshness, loaders, filters and what to do without a store are package
// cache's.
package driver

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable says that the store did not answer: the call may have happened or not.
var ErrUnavailable = errors.New("cache store did not answer")

// Driver keeps entries. Each method is atomic per key, bounded by its context and safe for concurrent use; errors wrap
// ErrUnavailable. A store may forget anything at any time. Values are never changed, by either side.
//
// The lease keeps a slow loader from storing what was overwritten meanwhile: Drop ends it, and Fill stores nothing without it.
type Driver interface {
	// Get returns the value, or nil. It may answer from a copy near by, which changes elsewhere reach within moments, and changes
	// through this Driver before Drop and Fill return.
	Get(ctx context.Context, key string) ([]byte, error)
	// Begin gives the load lease to token for ttl if nobody has it, and returns whether it did. The value, or nil, is the store's
	// own at that moment.
	Begin(ctx context.Context, key, token string, ttl time.Duration) (leased bool, value []byte, err error)
	// Fill stores the value for ttl, ends the lease and returns true, only if token still has the lease; else it does nothing. A
	// nil value only ends the lease.
	Fill(ctx context.Context, key, token string, value []byte, ttl time.Duration) (bool, error)
	// Drop forgets the value and ends the lease, whoever has it.
	Drop(ctx context.Context, key string) error
	// Mark remembers for ttl that id of the space came into being.
	Mark(ctx context.Context, space, id string, ttl time.Duration) error
	// Marked reports whether id is marked. The epoch is a random name that the store keeps with the marks of the space and makes
	// anew when it has none: another epoch means that marks may have been forgotten.
	Marked(ctx context.Context, space, id string) (marked bool, epoch string, err error)
}
