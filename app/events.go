package app

import (
	"context"
	"sync"
	"time"

	"penstock/internal/ident"
	"penstock/order"
)

// events tells users of the changes of their orders. Who is not listening costs one look into a map; who listens slowly gets
// the last state of each order, not every step.
//
// Where other processes change orders too, nobody tells of their changes: each listener then looks at the user's newest orders
// every look.
type events struct {
	get  func(ctx context.Context, user string, id ident.ID) (order.Order, error)
	list func(ctx context.Context, user, cursor string, limit int) ([]order.Order, string, error)
	look time.Duration // 0: nobody else changes orders

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
	seen := versions{}
	var tick <-chan time.Time
	if e.look > 0 {
		seen.changed(e.newest(ctx, user)) // what is there already is no change
		t := time.NewTicker(e.look)
		defer t.Stop()
		tick = t.C
	}
	for {
		var found []order.Order
		select {
		case <-l.wake:
			found = e.read(ctx, user, l.take())
		case <-tick:
			found = e.newest(ctx, user)
		case <-ctx.Done():
			return
		}
		for _, o := range seen.changed(found) {
			select {
			case out <- o:
			case <-ctx.Done():
				return
			}
		}
	}
}

// read reads orders. One that cannot be read is passed over: its next change, or the client's own read, tells it.
func (e *events) read(ctx context.Context, user string, ids []ident.ID) (found []order.Order) {
	for _, id := range ids {
		if o, err := e.get(ctx, user, id); err == nil {
			found = append(found, o)
		}
	}
	return found
}

// newest reads as many of the user's newest orders as change at a time.
func (e *events) newest(ctx context.Context, user string) []order.Order {
	found, _, err := e.list(ctx, user, "", newestOrders)
	if err != nil {
		return nil // the next look may see it
	}
	return found
}

const newestOrders = 20

// versions are the versions of the orders that a listener was told of.
type versions map[ident.ID]int64

// changed returns the orders that are newer than what was told, and counts them as told.
func (v versions) changed(found []order.Order) []order.Order {
	var fresh []order.Order
	for _, o := range found {
		if o.Version > v[o.ID] {
			v[o.ID] = o.Version
			fresh = append(fresh, o)
		}
	}
	return fresh
}
