package storm

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// queue is a heap of buyers by due time.
type queue []*buyer

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*buyer)) }
func (q *queue) Pop() any {
	old := *q
	b := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return b
}

// schedule runs the steps of buyers when they are due, however long the earlier ones take.
type schedule struct {
	s       *storm
	again   chan *buyer
	slots   chan struct{}
	running sync.WaitGroup
	waiting queue
	// live counts buyers who have come and are not done.
	live int
}

// arrivals makes the buyers one by one, each with its due time.
type arrivals struct {
	s    *storm
	rng  *rand.Rand
	n    int
	last time.Time
	next *buyer
}

func (s *storm) newArrivals(start time.Time) *arrivals {
	a := &arrivals{s: s, rng: rand.New(rand.NewPCG(uint64(s.cfg.Seed), 1<<63)), last: start}
	a.advance()
	return a
}

func (a *arrivals) advance() {
	if a.n == a.s.cfg.arrivals() {
		a.next = nil
		return
	}
	gap := 1 / a.s.cfg.Rate
	if !a.s.cfg.Constant {
		gap *= a.rng.ExpFloat64()
	}
	a.last = a.last.Add(time.Duration(gap * float64(time.Second)))
	a.next = a.s.newBuyer(a.n, a.last)
	a.n++
}

func (s *storm) newSchedule() *schedule {
	return &schedule{s: s, again: make(chan *buyer, 1024), slots: make(chan struct{}, s.cfg.MaxInFlight)}
}

// run lets buyers come and go until the last of them is done, or until linger after the last arrival; those who then still
// wait are returned. No step is running when it returns.
func (q *schedule) run(ctx context.Context, a *arrivals, linger time.Duration) []*buyer {
	var end time.Time
	clk := q.s.cfg.Clock
	for a.next != nil || q.live > 0 {
		now := clk.Now()
		if a.next == nil && end.IsZero() {
			end = now.Add(linger)
		}
		if !end.IsZero() && !now.Before(end) {
			break
		}
		b := q.head(a)
		wait := time.Hour
		if b != nil {
			wait = b.due.Sub(now)
		}
		if b != nil && wait <= 0 {
			if !q.begin(ctx, b, a) {
				break
			}
			q.collect()
			continue
		}
		if !end.IsZero() {
			wait = min(wait, end.Sub(now))
		}
		t := clk.NewTimer(wait)
		select {
		case b := <-q.again:
			q.put(b)
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return q.stop()
		}
		t.Stop()
	}
	return q.stop()
}

// head returns who is due next: an arrival or somebody who waits.
func (q *schedule) head(a *arrivals) *buyer {
	if len(q.waiting) > 0 && (a.next == nil || q.waiting[0].due.Before(a.next.due)) {
		return q.waiting[0]
	}
	return a.next
}

// begin takes the head out of its queue and starts its step.
func (q *schedule) begin(ctx context.Context, b *buyer, a *arrivals) bool {
	if b == a.next {
		a.advance()
		q.live++
	} else {
		heap.Pop(&q.waiting)
	}
	return q.start(ctx, b)
}

// start runs a buyer's step in a goroutine of its own. When the cap of steps in flight is reached everybody behind is late.
func (q *schedule) start(ctx context.Context, b *buyer) bool {
	for {
		select {
		case q.slots <- struct{}{}:
			q.running.Add(1)
			go func() {
				defer q.running.Done()
				q.s.step(ctx, b)
				<-q.slots
				q.again <- b
			}()
			return true
		case other := <-q.again:
			q.put(other) // or no slot would ever free
		case <-ctx.Done():
			return false
		}
	}
}

// collect takes those whose step is done, without waiting.
func (q *schedule) collect() {
	for {
		select {
		case b := <-q.again:
			q.put(b)
		default:
			return
		}
	}
}

// put has a buyer wait for his next step, or leave if he has none.
func (q *schedule) put(b *buyer) {
	if b.due.IsZero() {
		q.live--
		q.s.leave(b)
		return
	}
	heap.Push(&q.waiting, b)
}

// stop waits for running steps and returns who still waits.
func (q *schedule) stop() []*buyer {
	idle := make(chan struct{})
	go func() {
		q.running.Wait()
		close(idle)
	}()
	for {
		select {
		case b := <-q.again:
			q.put(b)
		case <-idle:
			q.collect()
			return q.waiting
		}
	}
}
