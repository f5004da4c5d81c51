package lock

import (
	"context"
	"sync"
)

// turns lets one goroutine of this process at a time wait for a name, first come, first served, so that a hundred waiters cost
// the store one.
type turns struct {
	mu     sync.Mutex
	queues map[string]*queue
}

type queue struct {
	users int
	turn  chan struct{} // sending is taking the turn
}

// take waits for the turn; done passes it on and is called exactly once.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	t.mu.Lock()
	if t.queues == nil {
		t.queues = map[string]*queue{}
	}
	q := t.queues[name]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		t.queues[name] = q
	}
	q.users++
	t.mu.Unlock()
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; t.leave(name, q) }, nil
	case <-ctx.Done():
		t.leave(name, q)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.queues, name)
	}
}
