package auth

import (
	"sync"
	"time"
)

const (
	cacheShards = 64
	// evictLooks is how many entries a full shard looks at to find one to drop.
	evictLooks = 8
)

// cache remembers which tokens verified, by the hash of their text, until they expire or their key goes. It is bounded.
type cache struct {
	perShard int
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu sync.RWMutex
	m  map[[32]byte]entry
	_  [24]byte
}

type entry struct {
	id    Identity
	key   *key
	until time.Time
}

func newCache(entries int) *cache { return &cache{perShard: max(1, entries/cacheShards)} }

func (c *cache) shard(sum *[32]byte) *cacheShard { return &c.shards[sum[0]%cacheShards] }

func (c *cache) get(sum *[32]byte, now time.Time) (Identity, bool) {
	s := c.shard(sum)
	s.mu.RLock()
	e, ok := s.m[*sum]
	s.mu.RUnlock()
	if !ok || !e.good(now) {
		return Identity{}, false
	}
	return e.id, true
}

func (e entry) good(now time.Time) bool { return !e.key.gone.Load() && now.Before(e.until) }

// put remembers the token; a full shard drops an entry that is no longer good, or else the soonest to expire of a few.
func (c *cache) put(sum *[32]byte, e entry) {
	s := c.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[[32]byte]entry{}
	}
	if len(s.m) >= c.perShard {
		s.evict()
	}
	s.m[*sum] = e
}

func (s *cacheShard) evict() {
	var (
		victim [32]byte
		until  time.Time
		looked int
	)
	for k, e := range s.m {
		if looked == 0 || e.key.gone.Load() || e.until.Before(until) {
			victim, until = k, e.until
		}
		if looked++; looked == evictLooks || e.key.gone.Load() {
			break
		}
	}
	delete(s.m, victim)
}
