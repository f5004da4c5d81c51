package limit

import "penstock/limit/driver"

// pick is the counter that a call meets in one rule.
type pick struct {
	key   key
	meter *meter // nil: the rule does not apply
	shard *shard[key]
	at    int32 // the counter's place in the shard, none if it has none yet
	now   int64
}

// picks has one for each rule of a set, in order. The array keeps them out of the heap.
type picks [maxRules]pick

// pick fills p and returns how many rules apply.
func (s *Set) pick(p *picks, who *Subject) (n int) {
	for i, t := range s.rules {
		if p[i].key, p[i].meter = t.find(who); p[i].meter != nil {
			n++
		}
	}
	return n
}

// local decides with the counters of this process, as one of so many instances.
func (s *Set) local(p *picks, answers []driver.Answer, instances int64, count bool) (allowed bool) {
	s.lock(p)
	defer s.unlock(p)
	allowed = true
	var empty [maxCells]int64
	for i, t := range s.rules {
		if q := &p[i]; q.meter != nil {
			cells := empty[:q.meter.window.cells]
			if q.at != none {
				cells = q.shard.cells[int(q.at)*t.cells:][:q.meter.window.cells]
			}
			answers[i] = q.meter.look(cells, q.now, instances)
			allowed = allowed && answers[i].Retry == 0
		}
	}
	if allowed && count {
		s.count(p, instances)
	}
	return allowed
}

// count counts the call in each rule that applies. The shards are locked.
func (s *Set) count(p *picks, instances int64) {
	for i, t := range s.rules {
		q := &p[i]
		if q.meter == nil {
			continue
		}
		q.shard.sweep(q.now-t.keep(instances), sweepStep)
		at := q.shard.find(q.key, t.perShard, t.cells)
		q.shard.entries[at].touched = q.now
		q.meter.count(q.shard.cells[int(at)*t.cells:][:q.meter.window.cells], q.now, instances)
	}
}

// note counts a call that the shared counters have allowed, so that this process knows its own part when they are gone.
func (s *Set) note(p *picks) {
	s.lock(p)
	defer s.unlock(p)
	s.count(p, 1)
}

func (s *Set) lock(p *picks) {
	for _, i := range s.order {
		q := &p[i]
		if q.meter == nil {
			continue
		}
		t := s.rules[i]
		q.shard = t.shard(q.key)
		q.shard.mu.Lock()
		q.now, q.at = q.shard.advance(t.now()), none
		if at, ok := q.shard.index[q.key]; ok {
			q.at = at
		}
	}
}

func (s *Set) unlock(p *picks) {
	for _, i := range s.order {
		if p[i].meter != nil {
			p[i].shard.mu.Unlock()
		}
	}
}
