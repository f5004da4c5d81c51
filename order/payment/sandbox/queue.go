package sandbox

import (
	"sync"
	"time"

	"penstock/internal/ident"
)

// queued is how many charges wait in memory for a sender. The rest waits in the books.
const queued = 1024

// queue holds the charges whose callbacks are due now, each at most once, until their senders have written down what became
// of them. It spares the common case, a callback due at once, the way through the books.
type queue struct {
	due chan charge
	// look asks the dispatcher to read the books.
	look chan struct{}

	mu   sync.Mutex
	open bool
	held map[ident.ID]bool
	// past collects what is finished while the books are being read, for the page may still show it as due; nil otherwise.
	past map[ident.ID]bool
	// behind says that the books hold due charges which found no room here.
	behind bool
	// soonest is when the dispatcher will read the books anyway; zero means not by itself.
	soonest time.Time
}

func newQueue() *queue {
	return &queue{due: make(chan charge, queued), look: make(chan struct{}, 1), held: map[ident.ID]bool{}}
}

// added takes a charge that was just written into the books.
func (q *queue) added(c charge, now time.Time) {
	if !c.next.Valid {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	due := time.UnixMilli(c.next.Int64)
	switch {
	case !q.open:
	case !due.After(now):
		if !q.offer(c) {
			q.behind = true
		}
	case q.soonest.IsZero() || due.Before(q.soonest):
		q.nudge()
	}
}

// reading is called before the books are read for fill.
func (q *queue) reading() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.past = map[ident.ID]bool{}
}

// fill offers what the books say is due.
func (q *queue) fill(due []charge, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	past := q.past
	q.past = nil
	q.behind = more
	for _, c := range due {
		if !past[c.id] && !q.offer(c) {
			q.behind = true
			return
		}
	}
}

// offer reports whether c is in the queue or with a sender. q.mu is held.
func (q *queue) offer(c charge) bool {
	if q.held[c.id] {
		return true
	}
	select {
	case q.due <- c:
		q.held[c.id] = true
		return true
	default:
		return false
	}
}

// finished forgets a charge whose sender has written down what became of it. The books are read again when the charge is due
// once more, or when there is room for what found none.
func (q *queue) finished(c charge) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, c.id)
	if q.past != nil {
		q.past[c.id] = true
	}
	again := c.next.Valid && (q.soonest.IsZero() || time.UnixMilli(c.next.Int64).Before(q.soonest))
	if again || q.behind && len(q.due) < queued/4 {
		q.nudge()
	}
}

func (q *queue) plan(soonest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.soonest = soonest
}

func (q *queue) nudge() {
	select {
	case q.look <- struct{}{}:
	default:
	}
}

// size returns how many charges are queued or with a sender.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.held)
}

func (q *queue) setOpen(open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = open
}
