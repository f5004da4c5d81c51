package sale_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

// silent is a stock database that answers no look-up.
type silent struct{ driver.Driver }

func (silent) Attempt(ctx context.Context, _ driver.Key) (*driver.Attempt, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A refusal that must look the key up is Unknown at the deadline of attempts, when the database does not answer.
func TestLookUpKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(0)
	st, err := stock.New(t.Context(), silent{drv}, stock.Options{OnCommit: g.Observe})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = st.Close(context.Background()), drv.Close() }()
	now := time.Now()
	g.Observe(stock.Committed{Sales: []driver.Sale{{ID: "s", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(-time.Minute), Version: 1}}})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s := sale.New(st, g, sale.Options{LookUp: 20 * time.Millisecond})
	a := s.Attempt(ctx, stock.Request{Sale: "s", User: "ann", Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
	if a.State != stock.Unknown || ctx.Err() != nil {
		t.Errorf("told %v %s with %v, want unknown in time", a.State, a.Reason, ctx.Err())
	}
}
