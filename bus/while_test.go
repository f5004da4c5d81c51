package bus

import (
	"context"
	"sync/atomic"
	"testing"

	"penstock/bus/driver"
)

// While a group wants nothing its messages are passed over unread, and nothing is in flight; what comes once it wants some is
// handled, all of it.
func TestConsumeWhile(t *testing.T) {
	t.Parallel()
	var handled atomic.Int64
	r := setup(t, Options{}, func(_ context.Context, batch []driver.Message) []error {
		handled.Add(int64(len(batch)))
		return nil
	})
	wanted := false
	r.sub.wanted = func(context.Context) (bool, error) { return wanted, nil }
	r.log.Append(driver.Message{ID: "1", User: "ann"}, driver.Message{ID: "2", User: "bob"})
	r.drain()
	if n := handled.Load(); n != 0 || r.log.Acknowledged() != 2 {
		t.Errorf("%d handled, %d told to be sent", n, r.log.Acknowledged())
	}
	wanted = true
	r.log.Append(driver.Message{ID: "3", User: "ann"})
	r.drain()
	if n := handled.Load(); n != 1 {
		t.Errorf("%d handled", n)
	}
}
