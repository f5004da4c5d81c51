package limit

import (
	"runtime"
	"sync"
)

// shard keeps the keys of one shard in a slab, linked in order of use, with the cells of their windows in a slab beside it.
type shard[K comparable] struct {
	mu             sync.Mutex
	now            int64
	index          map[K]int32
	entries        []slot[K]
	cells          []int64
	free           []int32
	newest, oldest int32
	counted        int64 // calls that were counted and not taken back
	_              [24]byte
}

type slot[K comparable] struct {
	key          K
	touched      int64
	newer, older int32
}

const none = -1

// yields is how often a caller lets others run before it queues for a lock.
const yields = 4

// lock locks the shard for the fraction of a microsecond that a call needs. A sync.Mutex whose longest waiter has waited for a
// millisecond hands itself on to waiters only, and with a thousand runnable goroutines that is always: each call is then a
// switch. So a caller lets others run a few times before it queues.
func (s *shard[K]) lock() {
	for range yields {
		if s.mu.TryLock() {
			return
		}
		runtime.Gosched()
	}
	s.mu.Lock()
}

// advance returns the time, which never goes back within a shard.
func (s *shard[K]) advance(now int64) int64 {
	s.now = max(s.now, now)
	return s.now
}

// find returns the place of key, making one if need be, and marks it as the newest.
func (s *shard[K]) find(key K, limit, cells int) int32 {
	if i, ok := s.index[key]; ok {
		s.use(i)
		return i
	}
	return s.add(key, limit, cells)
}

// add makes a place for a key that has none and marks it as the newest.
func (s *shard[K]) add(key K, limit, cells int) int32 {
	if s.index == nil {
		s.index, s.newest, s.oldest = map[K]int32{}, none, none
	}
	if len(s.index) >= limit {
		s.drop(s.oldest)
	}
	i := s.place(cells)
	s.entries[i].key = key
	s.index[key] = i
	s.link(i)
	return i
}

// use marks the place as the newest.
func (s *shard[K]) use(i int32) {
	if s.newest != i {
		s.unlink(i)
		s.link(i)
	}
}

// place returns an unused place with empty cells.
func (s *shard[K]) place(cells int) int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		clear(s.cells[int(i)*cells:][:cells])
		return i
	}
	s.entries = append(s.entries, slot[K]{})
	for range cells {
		s.cells = append(s.cells, 0)
	}
	return int32(len(s.entries) - 1)
}

// sweep drops up to n of the oldest keys that were last used at or before the time. An empty shard gives its memory back.
func (s *shard[K]) sweep(before int64, n int) {
	for range n {
		if len(s.index) == 0 || s.entries[s.oldest].touched > before {
			return
		}
		s.drop(s.oldest)
	}
	if len(s.index) == 0 {
		s.index, s.entries, s.cells, s.free = nil, nil, nil, nil
	}
}

func (s *shard[K]) drop(i int32) {
	var zero K
	delete(s.index, s.entries[i].key)
	s.unlink(i)
	s.entries[i].key = zero
	s.free = append(s.free, i)
}

func (s *shard[K]) link(i int32) {
	e := &s.entries[i]
	e.newer, e.older = none, s.newest
	if s.newest != none {
		s.entries[s.newest].newer = i
	} else {
		s.oldest = i
	}
	s.newest = i
}

func (s *shard[K]) unlink(i int32) {
	e := &s.entries[i]
	if e.newer != none {
		s.entries[e.newer].older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != none {
		s.entries[e.older].newer = e.newer
	} else {
		s.oldest = e.newer
	}
}
