package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	busdriver "penstock/bus/driver"
	"penstock/config"
	"penstock/internal/clock"
)

// Orders are written at once when nobody queues, after the rush when it ends soon, and after the order writer's wait when it
// does not; the waves of one poll batch wait once.
func TestOrdersGiveWayToARush(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		crowds int // committed 20 ms apart, the first one now
		want   time.Duration
	}{
		{"calm", 0, 0}, {"a short rush", 5, 80*time.Millisecond + quiet}, {"an endless rush", 1000, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config.Default()
				cfg.OrderWriter.Wait = time.Second
				a := &App{cfg: cfg, opt: Options{Clock: clock.Real{}}}
				if c.crowds > 0 {
					a.crowded.Store(time.Now().UnixNano())
				}
				stop := make(chan struct{})
				go func() {
					for range c.crowds - 1 {
						select {
						case <-stop:
							return
						case <-time.After(20 * time.Millisecond):
							a.crowded.Store(time.Now().UnixNano())
						}
					}
				}()
				calls := 0
				h := a.giveWay(func(context.Context, []busdriver.Message) []error { calls++; return nil })
				begin := time.Now()
				h(t.Context(), nil)
				h(t.Context(), nil)
				if took := time.Since(begin); took != c.want || calls != 2 {
					t.Errorf("%d waves written after %v, want 2 after %v", calls, took, c.want)
				}
				close(stop)
			})
		})
	}
}
