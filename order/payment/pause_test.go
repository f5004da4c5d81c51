package payment

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the pauses are, a pending payment is asked for once shortly before its window ends, and at growing pauses before
// and after.
func TestAskedBeforeTheWindowEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &Payments{o: Options{
			QueryAfter: time.Duration(rapid.IntRange(1, 5000).Draw(t, "queryAfter")) * time.Millisecond,
			MaxBackoff: time.Duration(rapid.IntRange(5, 120).Draw(t, "maxBackoff")) * time.Second,
		}.withDefaults()}
		start := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
		window := time.Duration(rapid.IntRange(10, 900).Draw(t, "window")) * time.Second
		r := row{payBefore: start.Add(window), after: time.Duration(rapid.IntRange(0, 3).Draw(t, "after")) * time.Second}
		edge := r.payBefore.Add(-p.o.QueryAfter)
		asked := false
		for at, n := p.firstLook(r, start), 1; !at.After(r.payBefore); n++ {
			asked = asked || !at.Before(edge)
			next := p.beforeEnd(r, at, at.Add(p.pause(n)))
			if !next.After(at) || next.Sub(at) > p.o.MaxBackoff {
				t.Fatalf("look %d at %v is followed by one at %v", n, at.Sub(start), next.Sub(start))
			}
			at = next
		}
		if !asked {
			t.Fatalf("nobody asked in the last %v of the window", p.o.QueryAfter)
		}
	})
}
