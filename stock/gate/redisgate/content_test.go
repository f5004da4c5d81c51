package redisgate_test

import (
	"fmt"
	"testing"
	"time"

	"penstock/stock/gate/redisgate"
)

// What Redis has of a sale can be read, and built anew: whatever was there, it says the stock row afterwards, and what is of another
// type reads as nothing.
func TestContentIsReadAndRebuilt(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 1, redisgate.Options{Attempt: 100 * time.Millisecond}, s.URL())
	r.create("s", 10, 1)
	r.useful("s")
	g := r.instances[0].gate
	good := fmt.Sprintf("%d 10 10", g.Level("s", "tea").Version)
	rebuilt := func() {
		t.Helper()
		r.within(patience, "it is built and says the row", func() bool {
			if g.Rebuild(t.Context(), "s") != nil {
				return false
			}
			got, err := g.Content(t.Context(), "s")
			return err == nil && got["tea"] == good
		})
	}
	rebuilt()
	s.do(t, "HSET", keyG, "stea", "999 3 3")
	rebuilt()
	s.do(t, "DEL", keyG)
	s.do(t, "LPUSH", keyG, "x")
	if got, err := g.Content(t.Context(), "s"); err != nil || got != nil && got["tea"] != good { // the gate itself may be faster
		t.Errorf("of another type: %v, %v", got, err)
	}
	rebuilt()
	s.Kill(t)
	if got, err := g.Content(t.Context(), "s"); err == nil {
		t.Errorf("of a server that is gone: %v", got)
	}
}
