// Package redisnonce remembers the nonces of signed requests in Redis: SET NX PX, one round trip, over all processes. Nonces are as
// durable as that Redis: what it forgets (flush, failover to an older copy) may be used again until its signature is too old.
package redisnonce

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/redis/rueidis"

	"penstock/engine/redis"
	"penstock/internal/clock"
)

// Store implements partner.Replay. It does not own the client. Safe for concurrent use.
type Store struct {
	client *redis.Client
	prefix string
	clock  clock.Clock
}

// Commands are those that the server must allow.
func Commands() []string { return []string{"SET"} }

// New returns a store that keeps nonces under <prefix>nonce:; prefix "" means "penstock:", a nil clock the machine's.
func New(c *redis.Client, prefix string, now clock.Clock) *Store {
	if prefix == "" {
		prefix = "penstock:"
	}
	if now == nil {
		now = clock.Real{}
	}
	return &Store{client: c, prefix: prefix, clock: now}
}

// Once implements partner.Replay.
func (s *Store) Once(ctx context.Context, id [32]byte, until time.Time) (bool, error) {
	r, err := s.client.Redis()
	if err != nil {
		return false, err
	}
	left := max(until.Sub(s.clock.Now()), time.Second)
	key := s.prefix + "nonce:" + base64.RawURLEncoding.EncodeToString(id[:])
	err = r.Do(ctx, r.B().Set().Key(key).Value("1").Nx().PxMilliseconds(left.Milliseconds()).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	return err == nil, err
}
