package outboxbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
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
	free, err := r.free(ctx, now)
	if err != nil || len(free) == 0 {
		return err
	}
	taken, err := r.take(ctx, free, now)
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	var mine []*lane
	for l, t := range taken {
		l.epoch, l.stored, l.end = t.epoch, t.position, t.position
		l.clear.Store(t.position)
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
func (r *reader) save(ctx context.Context, lanes []*lane) error {
	marks := make([]mark, len(lanes))
	for i, l := range lanes {
		marks[i] = mark{l, l.clear.Load()}
	}
	return r.put(ctx, marks)
}

func (r *reader) put(ctx context.Context, marks []mark) error {
	if len(marks) == 0 {
		return nil
	}
	now := r.d.opt.Clock.Now()
	lost, err := r.write(ctx, marks, now.Add(r.d.opt.Lease), r.owner)
	if err != nil {
		r.drop(lost)
		return err
	}
	moved := make([]*lane, 0, len(marks))
	for _, m := range marks {
		if m.position > m.lane.stored {
			moved = append(moved, m.lane)
		}
		m.lane.stored = m.position
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
func (r *reader) drop(lost []*lane) {
	if len(lost) == 0 {
		return
	}
	for _, l := range lost {
		l.held.Store(false)
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
	r.d.wake(func(other *reader) bool { return other.group == r.group && other.topic == r.topic })
	return err
}

// release writes what is clear in these lanes and makes them free. Lanes that another member has by now are left alone.
func (r *reader) release(ctx context.Context, lanes []*lane) error {
	for len(lanes) > 0 {
		marks := make([]mark, len(lanes))
		for i, l := range lanes {
			marks[i] = mark{l, l.clear.Load()}
		}
		lost, err := r.write(ctx, marks, time.Time{}, "")
		if !errors.Is(err, ErrLeaseLost) {
			return err
		}
		lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return slices.Contains(lost, l) })
	}
	return nil
}
