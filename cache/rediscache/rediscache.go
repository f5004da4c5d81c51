// Package rediscache keeps cache entries in Redis, single or cluster, with a copy near by in this process: Redis remembers who
// read a key and tells when it changes (CLIENT TRACKING), and a broken connection empties the copy. A value and its lease share
// a slot, and so do the marks of a space.
//
// Near copies need a client opened with redis.Options.Caching; without, every read goes to Redis.
package rediscache

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"penstock/cache/driver"
	"penstock/engine/redis"
)

const begin = `
local leased = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
return {leased and 1 or 0, redis.call('GET', KEYS[1])}`

const fill = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`

const marked = `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return {redis.call('EXISTS', KEYS[2]), redis.call('GET', KEYS[1])}`

// Options tunes a Store. The zero value works.
type Options struct {
	// Prefix begins every key; "" means none, so that entries are found under business:module:id.
	Prefix string
	// Near is how long a copy near by is used without Redis saying anything; 0 means 60 s.
	Near time.Duration
}

// Store is a driver. It does not own the client. Safe for concurrent use.
type Store struct {
	client              *redis.Client
	o                   Options
	begin, fill, marked *rueidis.Lua
}

var _ driver.Driver = (*Store)(nil)

// New returns a store. It needs the commands EVALSHA, EVAL, GET, SET, DEL and, for near copies, CLIENT TRACKING.
func New(c *redis.Client, o Options) *Store {
	if o.Near == 0 {
		o.Near = time.Minute
	}
	return &Store{client: c, o: o, begin: rueidis.NewLuaScript(begin), fill: rueidis.NewLuaScript(fill), marked: rueidis.NewLuaScript(marked)}
}

func (s *Store) keys(key string) []string {
	return []string{s.o.Prefix + key, "{" + s.o.Prefix + key + "}:load"}
}

func (s *Store) markKeys(space, id string) []string {
	return []string{"{" + s.o.Prefix + space + "}:epoch", "{" + s.o.Prefix + space + "}:new:" + id}
}

// Get implements driver.Driver.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	r, err := s.redis()
	if err != nil {
		return nil, err
	}
	value, err := r.DoCache(ctx, r.B().Get().Key(s.o.Prefix+key).Cache(), s.o.Near).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return value, unavailable(err)
}

// Begin implements driver.Driver.
func (s *Store) Begin(ctx context.Context, key, token string, ttl time.Duration) (bool, []byte, error) {
	reply, err := s.exec(ctx, s.begin, s.keys(key), token, milliseconds(ttl)).ToArray()
	if err != nil || len(reply) != 2 {
		return false, nil, unavailable(err)
	}
	leased, err := reply[0].AsInt64()
	if err != nil {
		return false, nil, unavailable(err)
	}
	value, err := reply[1].AsBytes()
	if rueidis.IsRedisNil(err) {
		value, err = nil, nil
	}
	return leased == 1, value, unavailable(err)
}

// Fill implements driver.Driver.
func (s *Store) Fill(ctx context.Context, key, token string, value []byte, ttl time.Duration) (bool, error) {
	n, err := s.exec(ctx, s.fill, s.keys(key), token, rueidis.BinaryString(value), milliseconds(ttl)).AsInt64()
	if err == nil && n == 1 {
		err = s.settle(ctx, key)
	}
	return n == 1, unavailable(err)
}

// Drop implements driver.Driver.
func (s *Store) Drop(ctx context.Context, key string) error {
	r, err := s.redis()
	if err != nil {
		return err
	}
	if err := r.Do(ctx, r.B().Del().Key(s.keys(key)...).Build()).Error(); err != nil {
		return unavailable(err)
	}
	return unavailable(s.settle(ctx, key))
}

// settle waits until the change of a key made just before has reached the copy near by: Redis sends word of it after the reply
// to the change and before the reply to whatever the same connection asks next.
func (s *Store) settle(ctx context.Context, key string) error {
	r, err := s.redis()
	if err != nil {
		return err
	}
	return r.Do(ctx, r.B().Exists().Key(s.o.Prefix+key).Build()).Error()
}

// Mark implements driver.Driver.
func (s *Store) Mark(ctx context.Context, space, id string, ttl time.Duration) error {
	r, err := s.redis()
	if err != nil {
		return err
	}
	key := s.markKeys(space, id)[1]
	return unavailable(r.Do(ctx, r.B().Set().Key(key).Value("1").Px(max(ttl, time.Millisecond)).Build()).Error())
}

// Marked implements driver.Driver.
func (s *Store) Marked(ctx context.Context, space, id string) (bool, string, error) {
	reply, err := s.exec(ctx, s.marked, s.markKeys(space, id), rand.Text()).ToArray()
	if err != nil || len(reply) != 2 {
		return false, "", unavailable(err)
	}
	n, err := reply[0].AsInt64()
	if err != nil {
		return false, "", unavailable(err)
	}
	epoch, err := reply[1].ToString()
	return n == 1, epoch, unavailable(err)
}

func (s *Store) redis() (rueidis.Client, error) {
	r, err := s.client.Redis()
	return r, unavailable(err)
}

func (s *Store) exec(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) rueidis.RedisResult {
	r, err := s.redis()
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	return script.Exec(ctx, r, keys, args)
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }
