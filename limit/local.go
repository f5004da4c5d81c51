package limit

import (
	"slices"
	"time"

	"penstock/limit/driver"
)

// pick is the counter that a call meets in one rule.
type pick struct {
	key   key
	meter *meter // nil: the rule does not apply
	shard *shard[key]
	at    int32 // the counter's place in the shard, none if it has none yet
	lent  bool  // the call was taken on credit
	held  bool  // the shard is locked
	now   int64
}

// picks has one for each rule of a set, in order. The array keeps them out of the heap.
type picks [maxTaken]pick

// pick fills p and reports whether any rule applies.
func (s *Set) pick(p *picks, who *Subject) (meets bool) {
	for i, t := range s.rules {
		if p[i].key, p[i].meter = t.find(who); p[i].meter != nil {
			meets = true
		}
	}
	return meets
}

// local decides with the counters of this process, as one of so many instances. Each counter is locked and looked at, then counted
// and unlocked in reverse, so that the last one, which the most calls share, is locked for the shortest time, and seldom: it gives
// credit.
func (s *Set) local(p *picks, answers []driver.Answer, instances int64, count bool) (allowed bool) {
	allowed = true
	now := s.opt.Clock.Now()
	defer p.abandon(s.order)
	for _, i := range s.order {
		if q := &p[i]; q.meter != nil {
			t := s.rules[i]
			if allowed && count && instances == 1 {
				if answers[i], q.lent = q.borrow(t, now); q.lent {
					continue
				}
			}
			q.lock(t, now, instances)
			answers[i] = q.look(t, instances, !count)
			allowed = allowed && answers[i].Retry == 0
		}
	}
	for _, i := range slices.Backward(s.order) {
		if q := &p[i]; q.meter != nil {
			q.end(s.rules[i], now, instances, allowed && count, &answers[i])
		}
	}
	return allowed
}

// end counts the call, or leaves its counter as it was, and unlocks it.
func (q *pick) end(t *table, now time.Time, instances int64, counts bool, a *driver.Answer) {
	if q.lent {
		if !counts {
			q.repay(t, now)
		}
		return
	}
	if counts {
		q.count(t, instances)
		if instances == 1 {
			q.lend(t, a)
		}
	}
	q.unlock()
}

func (q *pick) unlock() {
	q.held = false
	q.shard.mu.Unlock()
}

// abandon unlocks what a panic has left locked, so that one fault does not keep everybody out for ever.
func (p *picks) abandon(order []int) {
	for _, i := range order {
		if p[i].held {
			p[i].unlock()
		}
	}
}

// note counts a call that the shared counters have allowed, so that this process knows its own part when they are gone.
func (s *Set) note(p *picks) {
	now, instances := s.opt.Clock.Now(), s.instances()
	for i, t := range s.rules {
		if q := &p[i]; q.meter != nil {
			q.lock(t, now, instances)
			q.count(t, 1)
			q.unlock()
		}
	}
}

// lock locks the counter and looks where it is.
func (q *pick) lock(t *table, now time.Time, instances int64) {
	q.shard, q.at = t.shard(q.key), none
	q.shard.lock()
	q.held = true
	q.now = q.shard.advance(int64(now.Sub(t.base)))
	q.shard.sweep(q.now-t.keep(instances), sweepStep)
	if at, ok := q.shard.index[q.key]; ok {
		q.at = at
	}
}

// cells are those of the counter, or empty ones, which are only read.
func (q *pick) cells(t *table) []int64 {
	if q.at == none {
		return t.fresh[:q.meter.window.cells]
	}
	return q.shard.cells[int(q.at)*t.cells:][:q.meter.window.cells]
}

// count counts the call in the locked counter.
func (q *pick) count(t *table, instances int64) {
	if q.at == none {
		q.at = q.shard.add(q.key, t.perShard, t.cells)
	} else {
		q.shard.use(q.at)
	}
	q.shard.entries[q.at].touched = q.now
	q.meter.count(q.cells(t), q.now, instances)
	q.shard.counted++
}
