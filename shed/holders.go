package shed

import (
	"hash/maphash"
	"sync"
	"time"
)

const holderShards = 64

// Holders remembers who has something at stake, and until when, so that they are let through before those who have not. It
// forgets when it is full, which costs priority and nothing else. It is safe for concurrent use.
type Holders struct {
	seed   maphash.Seed
	most   int
	shards [holderShards]holderShard
}

type holderShard struct {
	mu    sync.RWMutex
	until map[uint64]int64 // by the hash of the user, in Unix ms
}

// NewHolders returns an empty set for at most so many users; 0 means a million.
func NewHolders(most int) *Holders {
	if most <= 0 {
		most = 1 << 20
	}
	return &Holders{seed: maphash.MakeSeed(), most: max(1, most/holderShards)}
}

// Add remembers a user until the time, or for longer if that is known already.
func (h *Holders) Add(user string, until time.Time) {
	key := maphash.String(h.seed, user)
	s, end := &h.shards[key%holderShards], until.UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[uint64]int64{}
	}
	if have, known := s.until[key]; known {
		s.until[key] = max(have, end)
		return
	}
	if len(s.until) >= h.most {
		for k := range s.until { // any one
			delete(s.until, k)
			break
		}
	}
	s.until[key] = end
}

// Has reports whether the user has something at stake.
func (h *Holders) Has(user string, now time.Time) bool {
	key := maphash.String(h.seed, user)
	s := &h.shards[key%holderShards]
	s.mu.RLock()
	end, known := s.until[key]
	s.mu.RUnlock()
	return known && now.UnixMilli() < end
}

// Sweep forgets those whose time is over and returns how many are left.
func (h *Holders) Sweep(now time.Time) int {
	left, ms := 0, now.UnixMilli()
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		for k, end := range s.until {
			if end <= ms {
				delete(s.until, k)
			}
		}
		if left += len(s.until); len(s.until) == 0 {
			s.until = nil
		}
		s.mu.Unlock()
	}
	return left
}
