package mysqlstock_test

import (
	"fmt"
	"sync"
	"testing"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// An allowance that drifted is counted anew from the claims, also while the same user buys in two processes, and counted twice it
// is the same.
func recounted(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	both := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	both[0].sell(t, 1000, 500)
	db := e.open(t, url, mysqlstock.Options{})
	snap, err := db.Snapshot(t.Context())
	if err != nil || len(snap.Stock) == 0 {
		t.Fatal(snap, err)
	}
	ref := driver.TakenRef{Sale: snap.Stock[0].Sale, SKU: snap.Stock[0].SKU, User: "ann"}
	_, err = e.admin(t, url).ExecContext(t.Context(), "INSERT INTO allowance (sale, sku, user, taken) VALUES (?, ?, 'ann', 400)", []byte(ref.Sale), []byte(ref.SKU))
	if err != nil {
		t.Fatal(err)
	}
	const each = 40
	var wg sync.WaitGroup
	for n, p := range both {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprint(n, "-", i)
				for try := 0; p.buy("ann", key).State != stock.Won && try < 20; try++ { // one user in two processes: some are told to ask again
				}
			}
		})
	}
	for range 10 {
		if _, _, err := db.Recount(t.Context(), ref); err != nil {
			t.Log(err) // it may have to wait its turn
		}
	}
	wg.Wait()
	wins := int64(len(audit(t, both[1])["ann"]))
	if _, is, err := db.Recount(t.Context(), ref); err != nil || is != wins || is != 2*each {
		t.Errorf("counted %d, %v; %d wins", is, err, wins)
	}
	if was, is, err := db.Recount(t.Context(), ref); err != nil || was != is {
		t.Errorf("the second count found %d and %d, %v", was, is, err)
	}
	if was, is, err := db.Recount(t.Context(), driver.TakenRef{Sale: ref.Sale, SKU: ref.SKU, User: "nobody"}); err != nil || was != 0 || is != 0 {
		t.Errorf("nobody has %d and %d, %v", was, is, err)
	}
}
