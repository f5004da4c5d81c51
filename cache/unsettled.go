package cache

import (
	"iter"
	"maps"
	"sync"
)

// unsettled are keys that were changed at the origin and that the store has not been told of. What the store says of them is not
// believed here.
type unsettled struct {
	mu   sync.Mutex
	n    uint64
	keys map[Key]uint64
}

// manyUnsettled bounds the memory of a long outage. Beyond it a change is told once only, and old values may live out their TTL.
const manyUnsettled = 100_000

// add returns a number to remove this change by, and not a later one.
func (u *unsettled) add(key Key) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n++
	if _, known := u.keys[key]; known || len(u.keys) < manyUnsettled {
		u.keys[key] = u.n
	}
	return u.n
}

func (u *unsettled) remove(key Key, n uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys[key] == n {
		delete(u.keys, key)
	}
}

func (u *unsettled) has(key Key) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, is := u.keys[key]
	return is
}

func (u *unsettled) all() iter.Seq[Key] {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Keys(maps.Clone(u.keys))
}
