package limit

import (
	"cmp"
	"hash/maphash"
	"reflect"
	"sync/atomic"
	"time"
)

// table keeps the counters of one rule in this process.
type table struct {
	rule Rule
	// order is unlike that of any other table that a set may have together with this one.
	order     int64
	normal    *meter          // nil when the rate is off
	overrides map[key]*meter  // nil is off
	cells     int             // of each counter
	fresh     [maxCells]int64 // a counter that nothing was counted in
	by        dimensions
	base      time.Time
	seeds     [2]maphash.Seed
	perShard  int
	// A counter is as good as new after span without a call, and after slow longer for each instance more that shares.
	span, slow int64
	shards     [shardCount]shard[key]
	hots       hots
	refused    atomic.Uint64 // calls
	told       atomic.Int64  // the most calls that were ever said to be counted
}

// key is the value of a counter: two keyed hashes of the values of the rule's dimensions. Nobody outside can make two alike, and
// long values take no room.
type key [2]uint64

// dimensions says what counts are by.
type dimensions struct{ ip, user, app, api bool }

// table returns the table of a rule: the one that s has, if it has one of the same rule, else a new one. s may be nil.
func (s *Set) table(r Rule, o SetOptions) *table {
	if s != nil {
		for _, old := range s.rules {
			if reflect.DeepEqual(old.rule, r) && s.opt.MaxKeys == o.MaxKeys && s.opt.Clock == o.Clock {
				return old
			}
		}
	}
	t := &table{rule: r, base: o.Clock.Now(), overrides: map[key]*meter{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for _, d := range r.By {
		t.by.ip, t.by.user = t.by.ip || d == ByIP, t.by.user || d == ByUser
		t.by.app, t.by.api = t.by.app || d == ByApp, t.by.api || d == ByAPI
	}
	t.normal = t.meter(r.Rate)
	for text, rate := range r.Overrides {
		who, _ := r.values(text) // Validate has read it
		t.overrides[t.key(&who)] = t.meter(rate)
	}
	maxKeys := o.MaxKeys
	if maxKeys == 0 {
		maxKeys = 1 << 17
	}
	t.perShard = max(1, maxKeys/shardCount)
	return t
}

// compare says which of two tables every call locks first: that whose counters fewer calls share.
func (t *table) compare(other *table) int {
	return cmp.Or(cmp.Compare(t.common(), other.common()), cmp.Compare(t.order, other.order))
}

// common says how many calls share a counter: few by address or user, more by app, most by API or all together.
func (t *table) common() int {
	switch {
	case t.by.ip || t.by.user:
		return 0
	case t.by.app:
		return 1
	}
	return byAll
}

// byAll is said of counters that the most calls share.
const byAll = 2

func (t *table) meter(rate Rate) *meter {
	if rate.Off() {
		return nil
	}
	m := meterOf(t.rule.plan(rate))
	t.cells = max(t.cells, m.window.cells)
	t.span, t.slow = max(t.span, m.keep()), max(t.slow, m.every)
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
	k = t.key(who)
	if len(t.overrides) > 0 {
		if other, ok := t.overrides[k]; ok {
			return k, other
		}
	}
	return k, t.normal
}

func (t *table) key(who *Subject) (k key) {
	if t.by.ip {
		b := AddrKey(who.IP).As16()
		k = t.mix(k, b[:])
	}
	if t.by.user {
		k = t.mixText(k, who.User)
	}
	if t.by.app {
		k = t.mixText(k, who.App)
	}
	if t.by.api {
		k = t.mixText(k, who.API)
	}
	return k
}

// mixer is odd, so that the order of the values counts and nothing is lost.
const mixer = 0x9e3779b97f4a7c15

func (t *table) mix(k key, v []byte) key {
	return key{k[0]*mixer + maphash.Bytes(t.seeds[0], v), k[1]*mixer + maphash.Bytes(t.seeds[1], v)}
}

func (t *table) mixText(k key, v string) key {
	return key{k[0]*mixer + maphash.String(t.seeds[0], v), k[1]*mixer + maphash.String(t.seeds[1], v)}
}

func (t *table) shard(k key) *shard[key] { return &t.shards[k[0]%shardCount] }

// keep is after how long without a call any counter is as good as new.
func (t *table) keep(instances int64) int64 { return t.span + (instances-1)*t.slow }

// sweep forgets every idle counter and returns how many are left.
func (t *table) sweep(at time.Time, instances int64) (left int) {
	now, keep := int64(at.Sub(t.base)), t.keep(instances)
	for i := range t.shards {
		s := &t.shards[i]
		s.lock()
		s.sweep(s.advance(now)-keep, len(s.entries))
		left += len(s.index)
		s.mu.Unlock()
	}
	return left
}

// counted is how many calls were counted, as never less than it said before. What is lent and not taken is left out.
func (t *table) counted() uint64 {
	var calls int64
	for i := range t.hots {
		if h := t.hots[i].Load(); h != nil {
			calls -= h.open()
		}
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.lock()
		calls += s.counted
		s.mu.Unlock()
	}
	for {
		told := t.told.Load()
		if calls <= told || t.told.CompareAndSwap(told, calls) {
			return uint64(max(calls, told))
		}
	}
}
