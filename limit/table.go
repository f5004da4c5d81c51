package limit

import (
	"hash/maphash"
	"reflect"
	"time"

	"penstock/internal/clock"
)

// table keeps the counters of one rule in this process.
type table struct {
	rule Rule
	// order is unlike that of any other table that a set may have together with this one: calls lock in this order.
	order     int64
	normal    *meter         // nil when the rate is off
	overrides map[key]*meter // nil is off
	cells     int            // of each counter
	by        dimensions
	clock     clock.Clock
	base      time.Time
	seed      maphash.Seed
	perShard  int
	shards    [shardCount]shard[key]
}

// dimensions says what counts are by.
type dimensions struct{ ip, user, app, api bool }

// table returns the table of a rule: the one that s has, if it has one of the same rule, else a new one. s may be nil.
func (s *Set) table(r Rule, o SetOptions) *table {
	t := &table{rule: r, clock: o.Clock, base: o.Clock.Now(), seed: maphash.MakeSeed(), overrides: map[key]*meter{}}
	if s != nil {
		for _, old := range s.rules {
			if reflect.DeepEqual(old.rule, r) && s.opt.MaxKeys == o.MaxKeys && s.opt.Clock == o.Clock {
				return old
			}
		}
	}
	for _, d := range r.By {
		t.by.ip, t.by.user = t.by.ip || d == ByIP, t.by.user || d == ByUser
		t.by.app, t.by.api = t.by.app || d == ByApp, t.by.api || d == ByAPI
	}
	t.normal = t.meter(r.Rate)
	for text, rate := range r.Overrides {
		k, _ := r.values(text) // Validate has read it
		t.overrides[k] = t.meter(rate)
	}
	maxKeys := o.MaxKeys
	if maxKeys == 0 {
		maxKeys = 1 << 17
	}
	t.perShard = max(1, maxKeys/shardCount)
	return t
}

func (t *table) meter(rate Rate) *meter {
	if rate.Off() {
		return nil
	}
	m := meterOf(t.rule.plan(rate))
	t.cells = max(t.cells, m.window.cells)
	return &m
}

// find says which counter a call meets; a nil meter means none.
func (t *table) find(who *Subject) (k key, m *meter) {
	if !t.rule.applies(who.API) {
		return k, nil
	}
	switch {
	case t.by.ip && !who.IP.IsValid(), t.by.user && who.User == "", t.by.app && who.App == "", t.by.api && who.API == "":
		return k, nil
	}
	if t.by.ip {
		k.ip = AddrKey(who.IP)
	}
	if t.by.user {
		k.user = who.User
	}
	if t.by.app {
		k.app = who.App
	}
	if t.by.api {
		k.api = who.API
	}
	if len(t.overrides) > 0 {
		if other, ok := t.overrides[k]; ok {
			return k, other
		}
	}
	return k, t.normal
}

func (t *table) now() int64 { return int64(t.clock.Now().Sub(t.base)) }

func (t *table) shard(k key) *shard[key] {
	return &t.shards[maphash.Comparable(t.seed, k)%shardCount]
}

// keep is after how long without a call any counter is as good as new.
func (t *table) keep(n int64) int64 {
	var longest int64
	if t.normal != nil {
		longest = t.normal.keep(n)
	}
	for _, m := range t.overrides {
		if m != nil {
			longest = max(longest, m.keep(n))
		}
	}
	return longest
}

// sweep forgets every idle counter and returns how many are left.
func (t *table) sweep(n int64) (left int) {
	now, keep := t.now(), t.keep(n)
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.sweep(s.advance(now)-keep, len(s.entries))
		left += len(s.index)
		s.mu.Unlock()
	}
	return left
}
