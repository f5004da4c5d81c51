package outboxbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"penstock/bus/driver"
)

// keep takes what is free and renews what is held.
func (r *reader) keep(ctx context.Context) error {
	now := r.d.opt.Clock.Now()
	held := r.holding()
	if len(held) > 0 && now.Sub(r.renewed) >= r.d.opt.Heartbeat {
		if err := r.save(ctx, held); err != nil && !errors.Is(err, ErrLeaseLost) {
			return fmt.Errorf("renew the lease: %w", err)
		}
	}
	if len(held) == len(r.lanes) {
		return nil
	}
	free, err := r.d.cursors.Free(ctx, r.self)
	if err != nil {
		return fmt.Errorf("look for free sources: %w", err)
	}
	free = slices.DeleteFunc(free, func(name string) bool { l := r.lane(name); return l == nil || l.held.Load() })
	if len(free) == 0 {
		return nil
	}
	taken, err := r.d.cursors.Take(ctx, r.self, free, r.d.opt.Lease)
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	var mine []*lane
	for name, t := range taken {
		l := r.lane(name)
		l.epoch, l.stored, l.end = t.Epoch, t.Position, t.Position
		l.clear.Store(t.Position)
		l.held.Store(true)
		mine = append(mine, l)
	}
	if len(held) == 0 {
		r.renewed = now
	}
	r.d.tell(ctx, mine)
	return nil
}

// save writes what is clear in these lanes and renews their leases. Lanes that turn out to be lost are let go of.
func (r *reader) save(ctx context.Context, lanes []*lane) error { return r.put(ctx, cleared(lanes)) }

// cleared makes marks of what is clear.
func cleared(lanes []*lane) []driver.Mark {
	marks := make([]driver.Mark, len(lanes))
	for i, l := range lanes {
		marks[i] = l.mark(l.clear.Load())
	}
	return marks
}

func (r *reader) put(ctx context.Context, marks []driver.Mark) error {
	if len(marks) == 0 {
		return nil
	}
	now := r.d.opt.Clock.Now()
	lost, err := r.d.cursors.Write(ctx, r.self, marks, r.d.opt.Lease)
	if err != nil {
		r.drop(lost)
		return err
	}
	moved := make([]*lane, 0, len(marks))
	for _, m := range marks {
		l := r.lane(m.Source)
		if m.Position > l.stored {
			moved = append(moved, l)
		}
		l.stored = m.Position
	}
	if len(marks) == len(r.holding()) {
		r.renewed = now
	}
	r.d.tell(ctx, moved)
	return nil
}

// unsaved are the held lanes that have passed entries without a message since their cursor was written.
func (r *reader) unsaved() []*lane {
	return slices.DeleteFunc(r.holding(), func(l *lane) bool { return l.clear.Load() == l.stored })
}

// drop lets go of lost lanes. The batch in flight goes with them: what is still held of it is read again.
func (r *reader) drop(lost []string) {
	if len(lost) == 0 {
		return
	}
	for _, name := range lost {
		r.lane(name).held.Store(false)
	}
	r.batch, r.from = nil, nil
	for _, l := range r.lanes {
		l.end = l.clear.Load()
	}
}

// closeWithin bounds the giving up of leases.
const closeWithin = 5 * time.Second

// Close gives up the leases and wakes the members that stand by.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.d.mu.Lock()
	delete(r.d.readers, r)
	r.d.mu.Unlock()
	held := r.holding()
	for _, l := range held {
		l.held.Store(false)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := r.release(ctx, held)
	r.d.wake(func(other *reader) bool {
		return other.self.Group == r.self.Group && other.self.Topic == r.self.Topic
	})
	return err
}

// release writes what is clear in these lanes and makes them free. Lanes that another member has by now are left alone.
func (r *reader) release(ctx context.Context, lanes []*lane) error {
	for len(lanes) > 0 {
		lost, err := r.d.cursors.Write(ctx, r.self, cleared(lanes), 0)
		if !errors.Is(err, ErrLeaseLost) {
			return err
		}
		lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return slices.Contains(lost, l.src.Name()) })
	}
	return nil
}
