package bus

import (
	"context"
	"fmt"

	"penstock/bus/driver"
)

// wellFormed keeps from a handler what the engine could not make sense of, and what is too large for anybody: it is poison,
// whoever handles it.
func wellFormed(h Handler) Handler {
	return func(ctx context.Context, batch []driver.Message) []error {
		var bad []error
		for i := range batch {
			if err := malformed(&batch[i]); err != nil {
				if bad == nil {
					bad = make([]error, len(batch))
				}
				bad[i] = err
			}
		}
		if bad == nil {
			return h(ctx, batch)
		}
		return without(ctx, h, batch, bad)
	}
}

func malformed(m *driver.Message) error {
	if why, ok := m.Headers[driver.HeaderMalformed]; ok {
		return fmt.Errorf("%w: malformed: %s", ErrPoison, why)
	}
	if len(m.Payload) > MaxPayload {
		return fmt.Errorf("%w: its payload has %d bytes, over %d", ErrPoison, len(m.Payload), MaxPayload)
	}
	return nil
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
