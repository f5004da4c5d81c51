package limit

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"penstock/limit/driver"
)

const (
	// credit is how many calls are counted ahead at once, lanes by how many are they are kept apart.
	credit = 16
	lanes  = 8
	// ample is how many calls must be left for a counter to give credit: several times what can be outstanding.
	ample = 4 * credit * lanes
	// hotPlaces is how many counters of a table can give credit, hotSteps how far from its place a counter may be.
	hotPlaces = 256
	hotSteps  = 4
)

// hot is the credit of a counter that many calls share: calls that are counted already and have yet to come. Whoever takes one needs
// no lock, so that the calls of a busy API do not queue for its counter. Credit is good for the piece of time in which it was
// counted, so that no call is ever counted earlier than it should be; what is left of it is given back before anybody is refused.
type hot struct {
	key   key
	left  atomic.Int64 // how many calls the counter had left when it last gave credit
	frees atomic.Int64 // when there would be more, in the table's time
	lanes [lanes]lane
}

// lane is a number of a piece of time, shifted left, and the calls that are left of its credit.
type lane struct {
	at atomic.Int64
	_  [56]byte // a cache line of its own
}

// hots are the counters of a table that give credit. Places are never given up: APIs are few.
type hots [hotPlaces]atomic.Pointer[hot]

// find returns the credit of a counter. With add it makes one if there is a place; else nil means that there is none.
func (h *hots) find(k key, add bool) *hot {
	for step := range uint64(hotSteps) {
		place := &h[(k[1]+step)%hotPlaces]
		found := place.Load()
		if found == nil {
			if !add {
				return nil
			}
			if made := (&hot{key: k}); place.CompareAndSwap(nil, made) {
				return made
			}
			found = place.Load()
		}
		if found.key == k {
			return found
		}
	}
	return nil
}

// take takes a call of the piece of time from any lane and reports whether there was one.
func (h *hot) take(piece int64) bool {
	at := &h.lanes[rand.Uint32()%lanes].at
	for {
		have := at.Load()
		if have>>countBits != piece || have&countMask == 0 {
			return false
		}
		if at.CompareAndSwap(have, have-1) {
			return true
		}
	}
}

// lend counts calls ahead in the cells of a counter and puts them into a lane; more is how many are counted more than before. The
// counter is locked and just answered a.
func (h *hot) lend(w window, cells []int64, now int64, a *driver.Answer) (more int64) {
	at := &h.lanes[rand.Uint32()%lanes].at
	old := at.Swap(w.pieceAt(now)<<countBits | credit)
	w.back(cells, old)
	w.add(cells, now, credit)
	h.left.Store(int64(a.Remaining))
	h.frees.Store(now + int64(a.Reset))
	return credit - old&countMask
}

// settle takes all credit back into the cells of a counter, so that they say what was really called; less is how many that
// were. The counter is locked.
func (h *hot) settle(w window, cells []int64) (less int64) {
	for i := range h.lanes {
		if at := &h.lanes[i].at; at.Load()&countMask != 0 {
			old := at.Swap(0)
			w.back(cells, old)
			less += old & countMask
		}
	}
	return less
}

// open is how many calls are lent and not taken.
func (h *hot) open() (calls int64) {
	for i := range h.lanes {
		calls += h.lanes[i].at.Load() & countMask
	}
	return calls
}

// lends reports whether a counter gives credit: one that many calls share, with a rate that leaves room for it.
func (t *table) lends(m *meter) bool {
	return t.common() == byAll && m.every == 0 && m.plan.Calls > 2*ample
}

// borrow takes a call on credit, without the lock.
func (q *pick) borrow(t *table, at time.Time) (a driver.Answer, ok bool) {
	if !t.lends(q.meter) {
		return a, false
	}
	h, now := t.hots.find(q.key, false), int64(at.Sub(t.base))
	if h == nil || !h.take(q.meter.window.pieceAt(now)) {
		return a, false
	}
	q.now = now
	return driver.Answer{Remaining: int(h.left.Load()), Reset: max(time.Duration(h.frees.Load()-now), 1)}, true
}

// repay gives back a call that was taken on credit and is not made.
func (q *pick) repay(t *table, at time.Time) {
	piece := q.meter.window.pieceAt(q.now)
	q.lock(t, at, 1)
	if q.at != none {
		q.meter.window.back(q.cells(t), piece<<countBits|1)
	}
	q.shard.counted--
	q.unlock()
}

// look says what the locked counter answers. Before it refuses or tells what is left it takes back what it has lent.
func (q *pick) look(t *table, instances int64, exact bool) driver.Answer {
	a := q.meter.look(q.cells(t), q.now, instances)
	if q.at == none || !exact && a.Retry == 0 || !t.lends(q.meter) {
		return a
	}
	if h := t.hots.find(q.key, false); h != nil {
		q.shard.counted -= h.settle(q.meter.window, q.cells(t))
		a = q.meter.look(q.cells(t), q.now, instances)
	}
	return a
}

// lend lets the calls that come next do without the lock of the counter, if it has plenty left. It is locked, and has just counted.
func (q *pick) lend(t *table, a *driver.Answer) {
	if a.Remaining < ample || !t.lends(q.meter) {
		return
	}
	if h := t.hots.find(q.key, true); h != nil {
		q.shard.counted += h.lend(q.meter.window, q.cells(t), q.now, a)
	}
}
