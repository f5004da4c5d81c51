package mysqlorder_test

import (
	"errors"
	"testing"

	"penstock/internal/engines"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/mysqlorder"
	"penstock/order/shard"
	"penstock/order/sqliteorder"
)

// Orders of a data directory are copied to MySQL with all their events, and what is not the same afterwards is told.
func TestImportFromFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := engines.MariaDB(t)
	url := srv.Database(t)
	to := openStore(t, url)
	from, err := sqliteorder.Open(ctx, t.TempDir(), sqliteorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	orders, err := order.New(from, nil, order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer orders.Stop()
	if err := errors.Join(orders.Handle(ctx, held(ident.NewGenerator(1, 0), 600))...); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds all of it
		if sum, err := order.Import(ctx, to, from, nil); err != nil || sum.Orders != 600 || sum.Events != 1200 {
			t.Fatalf("%+v, %v", sum, err)
		}
	}
	c, err := mysqlorder.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	for table := range shard.Tables { // rows that were lost while their events stayed
		statement(t, srv, "DELETE FROM "+c.Name(0)+"."+shard.TableName(0, table))
	}
	if sum, err := order.Import(ctx, to, from, nil); err != nil || sum.Orders != 600 || sum.Events != 1200 {
		t.Fatalf("over events without orders: %+v, %v", sum, err)
	}
	if n, err := order.Verify(ctx, to, func(m order.Misplaced) { t.Errorf("%+v", m) }); n != 600 || err != nil {
		t.Errorf("looked at %d orders: %v", n, err)
	}
	if sum, err := order.Import(ctx, from, to, nil); err != nil || sum.Orders != 600 { // and back
		t.Errorf("%+v, %v", sum, err)
	}
	only, err := mysqlorder.Open(ctx, c, mysqlorder.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	statement(t, srv, "DELETE FROM "+c.Name(0)+".order_event LIMIT 1")
	if _, err := order.Import(ctx, to, from, nil); !errors.Is(err, order.ErrDiffers) {
		t.Errorf("an event is gone: %v", err)
	}
}
