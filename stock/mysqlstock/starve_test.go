package mysqlstock_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/stock/driver"
)

// Thousands of look-ups that queue for the database do not keep it from deciding.
func lookUpsLeaveRoom(t *testing.T, e *env) {
	url := e.server.Database(t)
	o := slow()
	o.Engine.Pool = 20
	p := e.process(t, url, o)
	p.sell(t, 1000, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 4000 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = p.db.Attempt(ctx, driver.Key{Sale: "s", User: fmt.Sprint("u", i), Key: "k"})
			}
		})
	}
	var took []time.Duration
	for i := range 15 {
		begun := time.Now()
		p.buy(fmt.Sprint("b", i), "k")
		took = append(took, time.Since(begun))
	}
	cancel()
	readers.Wait()
	slices.Sort(took)
	t.Logf("a purchase beside 4000 look-ups took %v at the median, %v at most", took[7], took[14])
	if waits := p.db.Waits(); waits > 100 {
		t.Errorf("%d waits for a connection, want what decisions and beats have among themselves", waits)
	}
}
