package stock_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

// broken commits and loses the reply, and then refuses everything, as a server does whose password was changed meanwhile.
type broken struct {
	driver.Driver
	mu      sync.Mutex
	lose    bool
	refuse  bool
	refused int
}

func (b *broken) Decide(ctx context.Context, r *driver.Reads, f func(*driver.State) *driver.Changes) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse {
		b.refused++
		return errors.New("access denied")
	}
	err := b.Driver.Decide(ctx, r, f)
	if b.lose && err == nil {
		b.refuse = true
		return fmt.Errorf("%w: the reply is lost", driver.ErrUnknown)
	}
	return err
}

// A commit of unknown outcome stays unknown when it cannot be settled, whatever the database says of the next transactions:
// nobody is told that nothing was written.
func TestUnknownStaysUnknownWhenSettlingIsRefused(t *testing.T) {
	t.Parallel()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &broken{Driver: drv}
	s, err := stock.New(t.Context(), b, stock.Options{Deadline: time.Minute, Linger: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = s.Close(context.Background()), drv.Close() }()
	now := time.Now()
	if _, err = s.CreateSale(t.Context(), driver.Sale{
		ID: "s", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour,
		Items: []driver.SaleItem{{SKU: "tea", Currency: "CNY"}},
	}, map[string]int64{"tea": 100}, driver.Audit{}); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.lose = true
	b.mu.Unlock()
	answers := make([]stock.Answer, 20)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = s.Attempt(t.Context(), stock.Request{
				Sale: "s", User: fmt.Sprint("u", i), Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}},
			})
		})
	}
	wg.Wait()
	written := 0
	for i, a := range answers {
		bound, err := drv.Attempt(t.Context(), driver.Key{Sale: "s", User: fmt.Sprint("u", i), Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if bound == nil {
			continue
		}
		written++
		if a.State != stock.Unknown {
			t.Errorf("buyer %d has won order %s and is told %v %s", i, bound.ID, a.State, a.Reason)
		}
	}
	if written == 0 || b.refused == 0 {
		t.Errorf("%d calls were written and %d transactions refused; the test has shown nothing", written, b.refused)
	}
}
