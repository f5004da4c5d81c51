package stock

import (
	"sync"

	"github.com/cespare/xxhash/v2"

	"penstock/stock/driver"
)

// inFlight is the set of keys being decided now, sharded by user so that callers do not queue for one lock.
type inFlight struct {
	shards [64]struct {
		mu   sync.Mutex
		keys map[driver.Key]int
	}
}

// enter adds a key; leave removes it. One key may be in flight several times (a double click).
func (f *inFlight) enter(k driver.Key) {
	s := &f.shards[xxhash.Sum64String(k.User)%64]
	s.mu.Lock()
	if s.keys == nil {
		s.keys = map[driver.Key]int{}
	}
	s.keys[k]++
	s.mu.Unlock()
}

func (f *inFlight) leave(k driver.Key) {
	s := &f.shards[xxhash.Sum64String(k.User)%64]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.keys[k]; n > 1 {
		s.keys[k] = n - 1
	} else {
		delete(s.keys, k)
	}
}

func (f *inFlight) has(k driver.Key) bool {
	s := &f.shards[xxhash.Sum64String(k.User)%64]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[k] > 0
}
