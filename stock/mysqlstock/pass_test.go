package mysqlstock_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/mysqlstock"
)

// One pass that is shown to three processes at once under many keys wins once; a repeat of the key that won is answered by its
// win, and every other key hears that the pass was used, also from a process that begins later.
func onePassWinsOnce(t *testing.T, e *env) {
	url := e.server.Database(t)
	var all []*process
	for range 3 {
		all = append(all, e.process(t, url, mysqlstock.Options{}))
	}
	all[0].sell(t, 1000, 1000)
	show := func(p *process, pass uint64, key string) stock.Answer {
		return p.Attempt(context.Background(), stock.Request{Sale: "s", User: "u", Key: key, Items: []stock.Item{{SKU: "a", Quantity: 1}}, Pass: pass, PassSKU: "a"})
	}
	for pass := uint64(1); pass <= 5; pass++ {
		var wins atomic.Int64
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				key := fmt.Sprint(pass, "-", i)
				switch a := show(all[i%3], pass, key); {
				case a.State == stock.Won:
					wins.Add(1)
					winner.Store(key)
				case a.Reason != errs.PassUsed:
					t.Errorf("%s: %+v", key, a)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("pass %d won %d times", pass, wins.Load())
		}
		late := e.process(t, url, mysqlstock.Options{})
		if a := show(late, pass, winner.Load().(string)); a.State != stock.Won || !a.Replayed {
			t.Errorf("the key that won: %+v", a)
		}
		if a := show(late, pass, "later"); a.Reason != errs.PassUsed {
			t.Errorf("another key later: %+v", a)
		}
	}
	audit(t, all[1])
}
