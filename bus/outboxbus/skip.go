package outboxbus

import (
	"context"
	"fmt"

	"penstock/bus/driver"
)

var _ driver.Skipper = (*reader)(nil)

// Skip implements [driver.Skipper]. It costs a look at the head of each source, and a write when there was something to pass.
func (r *reader) Skip(ctx context.Context, unwanted func(context.Context) (bool, error)) (bool, error) {
	if r.closed {
		return false, ErrClosed
	}
	if err := r.keep(ctx); err != nil {
		return false, err
	}
	if len(r.batch) > 0 {
		return false, nil // it is in flight, and committed by whoever has it
	}
	var marks []driver.Mark
	for _, l := range r.holding() {
		head, err := l.src.Head(ctx)
		if err != nil {
			return false, fmt.Errorf("head of %s: %w", l.src.Name(), err)
		}
		if head > l.stored {
			marks = append(marks, l.mark(head))
		}
	}
	if ok, err := unwanted(ctx); !ok || err != nil {
		return false, err
	}
	if err := r.put(ctx, marks); err != nil {
		return false, err
	}
	for _, m := range marks {
		l := r.lane(m.Source)
		l.end = max(l.end, m.Position)
		l.clear.Store(l.end)
	}
	return true, nil
}
