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
	until map[uint32]uint32 // by a hash of the user, which some share; in Unix seconds
}

// NewHolders returns an empty set for at most so many users; 0 means a million.
func NewHolders(most int) *Holders {
	if most <= 0 {
		most = 1 << 20
	}
	return &Holders{seed: maphash.MakeSeed(), most: max(1, most/holderShards)}
}

func (h *Holders) find(user string) (s *holderShard, key uint32) {
	sum := maphash.String(h.seed, user)
	return &h.shards[sum%holderShards], uint32(sum >> 32)
}

// Add remembers a user until the time, to the next full second, or for longer if that is known already.
func (h *Holders) Add(user string, until time.Time) {
	s, key := h.find(user)
	end := uint32((until.UnixMilli() + 999) / 1000)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[uint32]uint32{}
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
	s, key := h.find(user)
	s.mu.RLock()
	end, known := s.until[key]
	s.mu.RUnlock()
	return known && now.Unix() < int64(end)
}

// Sweep forgets those whose time is over and returns how many are left.
func (h *Holders) Sweep(now time.Time) int {
	left := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		for k, end := range s.until {
			if int64(end) <= now.Unix() {
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
