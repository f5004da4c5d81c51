package order

import (
	"context"
	"testing"
	"time"

	store "penstock/order/driver"
)

type quickWriter struct{ store.Writer }

func (quickWriter) Write(context.Context, *store.Batch) error { return nil }

// Messages that come in the moment after the first ones of a writer, or the first ones after a rest, are taken: nothing has
// kept anybody waiting.
func TestTheSecondCallIsTaken(t *testing.T) {
	t.Parallel()
	opt := Options{Patience: time.Minute}.withDefaults()
	for range 1000 {
		w := newWriter(quickWriter{}, 0, &opt)
		for call := range 2 {
			if _, err := w.accept([]*change{{}}, true); err != nil {
				t.Fatalf("call %d: %v", call+1, err)
			}
		}
		w.close()
	}
}
