// Package redislock keeps locks in Redis, single or cluster: SET NX PX with a random owner, renewal and release by scripts that
// check the owner in the same step. Redis may forget or double a lock (flush, failover to an older copy); what protects the data
// then is the fencing token of package lock, which does not come from here.
//
// Waiters block in BLPOP on a list that a release pushes to: nobody polls, and Redis wakes the longest waiting one. Both keys
// of a lock share a hash tag.
package redislock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"penstock/engine/redis"
	"penstock/lock/driver"
)

// take returns 0 for the owner and the milliseconds that somebody else has left, at least 1. A key without expiry is not one of
// ours: it gets an end, so that it cannot hold the name forever.
const take = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 0 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) left = tonumber(ARGV[2]) end
return math.max(left, 1)`

const renew = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

// release leaves at most one token to be popped, for a second: long enough for who was just refused and is about to wait.
const release = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('RPUSH', KEYS[2], '1')
redis.call('PEXPIRE', KEYS[2], 1000)
return 1`

// Store is a driver. It does not own the client. Safe for concurrent use.
type Store struct {
	client               *redis.Client
	prefix               string
	take, renew, release *rueidis.Lua
}

var _ driver.Driver = (*Store)(nil)

// New returns a store that keeps its locks under <prefix>lock:{name}; prefix "" means "penstock:". It needs the commands EVALSHA,
// EVAL and BLPOP.
func New(c *redis.Client, prefix string) *Store {
	if prefix == "" {
		prefix = "penstock:"
	}
	return &Store{client: c, prefix: prefix, take: rueidis.NewLuaScript(take), renew: rueidis.NewLuaScript(renew), release: rueidis.NewLuaScript(release)}
}

func (s *Store) key(name string) string  { return s.prefix + "lock:{" + name + "}" }
func (s *Store) wake(name string) string { return s.key(name) + ":wake" }

// Take implements driver.Driver.
func (s *Store) Take(ctx context.Context, name, owner string, ttl time.Duration) (time.Duration, error) {
	left, err := s.exec(ctx, s.take, []string{s.key(name)}, owner, milliseconds(ttl))
	return time.Duration(left) * time.Millisecond, err
}

// Renew implements driver.Driver.
func (s *Store) Renew(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	n, err := s.exec(ctx, s.renew, []string{s.key(name)}, owner, milliseconds(ttl))
	return n == 1, err
}

// Release implements driver.Driver.
func (s *Store) Release(ctx context.Context, name, owner string) (bool, error) {
	n, err := s.exec(ctx, s.release, []string{s.key(name), s.wake(name)}, owner)
	return n == 1, err
}

// Await implements driver.Driver. It uses a connection of its own while it waits.
func (s *Store) Await(ctx context.Context, name string, d time.Duration) error {
	r, err := s.client.Redis()
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	bounded, cancel := context.WithTimeout(ctx, d+time.Second) // a server that froze does not keep us
	defer cancel()
	d = max(d, time.Millisecond) // to Redis 0 means forever
	err = r.Do(bounded, r.B().Blpop().Key(s.wake(name)).Timeout(d.Seconds()).Build()).Error()
	switch {
	case err == nil, rueidis.IsRedisNil(err):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
}

func (s *Store) exec(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) (int64, error) {
	r, err := s.client.Redis()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	n, err := script.Exec(ctx, r, keys, args).AsInt64()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	return n, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }
