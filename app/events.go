package app

import (
	"context"
	"sync"

	"penstock/internal/ident"
	"penstock/order"
)

// events tells users of the changes of their orders. Who is not listening costs one look into a map; who listens slowly gets
// the last state of each order, not every step.
type events struct {
	get func(ctx context.Context, user string, id ident.ID) (order.Order, error)

	mu    sync.RWMutex
	users map[string]map[*listener]struct{}
}

type listener struct {
	mu      sync.Mutex
	pending []ident.ID
	wake    chan struct{}
}

func newEvents() *events { return &events{users: map[string]map[*listener]struct{}{}} }

// changed notes that an order of a user has changed. It never blocks.
func (e *events) changed(user string, id ident.ID) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for l := range e.users[user] {
		l.add(id)
	}
}

func (l *listener) add(id ident.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, have := range l.pending {
		if have == id {
			return
		}
	}
	l.pending = append(l.pending, id)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *listener) take() []ident.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.pending
	l.pending = nil
	return ids
}

// Subscribe returns a channel of the user's orders as they are after each change, and what ends the subscription.
func (e *events) Subscribe(user string) (<-chan order.Order, func()) {
	l := &listener{wake: make(chan struct{}, 1)}
	e.mu.Lock()
	if e.users[user] == nil {
		e.users[user] = map[*listener]struct{}{}
	}
	e.users[user][l] = struct{}{}
	e.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan order.Order)
	go e.feed(ctx, user, l, out)
	return out, func() {
		cancel()
		e.mu.Lock()
		defer e.mu.Unlock()
		if delete(e.users[user], l); len(e.users[user]) == 0 {
			delete(e.users, user)
		}
	}
}

func (e *events) feed(ctx context.Context, user string, l *listener, out chan<- order.Order) {
	defer close(out)
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		for _, id := range l.take() {
			o, err := e.get(ctx, user, id)
			if err != nil {
				continue // the next change of the order, or the client's own read, tells it
			}
			select {
			case out <- o:
			case <-ctx.Done():
				return
			}
		}
	}
}
