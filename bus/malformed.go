package bus

import (
	"context"
	"fmt"

	"penstock/bus/driver"
)

// wellFormed keeps from a handler what the engine could not make sense of: it is poison, whoever handles it.
func wellFormed(h Handler) Handler {
	return func(ctx context.Context, batch []driver.Message) []error {
		var bad []error
		for i, m := range batch {
			if why, ok := m.Headers[driver.HeaderMalformed]; ok {
				if bad == nil {
					bad = make([]error, len(batch))
				}
				bad[i] = fmt.Errorf("%w: malformed: %s", ErrPoison, why)
			}
		}
		if bad == nil {
			return h(ctx, batch)
		}
		return without(ctx, h, batch, bad)
	}
}

// without runs the handler on the messages that have no error yet and returns its answers among the errors.
func without(ctx context.Context, h Handler, batch []driver.Message, answers []error) []error {
	var good []driver.Message
	for i, m := range batch {
		if answers[i] == nil {
			good = append(good, m)
		}
	}
	if len(good) == 0 {
		return answers
	}
	failures := h(ctx, good)
	if n := len(failures); n != 0 && n != len(good) {
		failures = repeat(fmt.Errorf("handler returned %d errors for %d messages", n, len(good)), len(good))
	}
	for i := range answers {
		if answers[i] == nil && len(failures) > 0 {
			answers[i], failures = failures[0], failures[1:]
		}
	}
	return answers
}
