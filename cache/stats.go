package cache

import "sync/atomic"

// Stats counts since New. Every Get is a hit, a miss, or filtered.
type Stats struct {
	Hits, Misses, Filtered int64
	// Stale are hits whose TTL was over.
	Stale int64
	// Loads are calls of the loader; LoadFailures those that ended with an error other than ErrNotFound.
	Loads, LoadFailures int64
	// Busy are misses that were refused with ErrBusy before they began to wait.
	Busy int64
	// StoreFailures are calls of the store that failed.
	StoreFailures int64
	// Unsettled are changes that the store has not been told of, now.
	Unsettled int
}

type counters struct {
	hits, misses, filtered, stale, loads, loadFailures, busy, storeFailures atomic.Int64
}

// Stats returns the counts of this moment.
func (c *Cache[V]) Stats() Stats {
	c.unsettled.mu.Lock()
	waiting := len(c.unsettled.keys)
	c.unsettled.mu.Unlock()
	n := &c.count
	return Stats{
		Hits: n.hits.Load(), Misses: n.misses.Load(), Filtered: n.filtered.Load(), Stale: n.stale.Load(), Loads: n.loads.Load(),
		LoadFailures: n.loadFailures.Load(), Busy: n.busy.Load(), StoreFailures: n.storeFailures.Load(), Unsettled: waiting,
	}
}
