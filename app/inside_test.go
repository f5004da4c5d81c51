package app

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/config"
	"penstock/engine/sqlite"
	"penstock/stock"
)

// outbox has one message that nobody has read.
type outbox struct{}

func (outbox) Name() string { return "stock" }

func (outbox) Read(_ context.Context, after uint64, _ int) ([]busdriver.Message, uint64, error) {
	return nil, after, io.ErrUnexpectedEOF
}

func (outbox) Head(context.Context) (uint64, error) { return 7, nil }

func (outbox) Changed() <-chan struct{} { return nil }

func (outbox) Sent(context.Context, uint64) error { return nil }

// What the orders have not got yet is their backlog, whatever the bus calls it.
func TestBacklogCountsWhatTheOrdersLack(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "bus.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	drv, err := outboxbus.New(sqlstore.NewCursors(db, nil), map[string][]outboxbus.Source{stock.Topic: {outbox{}}}, outboxbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	b, err := bus.New(drv, sqlstore.New(db), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Consume(orderGroup, stock.Topic, func(context.Context, []busdriver.Message) []error { return nil })
	if err == nil {
		err = b.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop(context.Background())
	a := &App{cfg: config.Default(), bus: b}
	if n, err := a.backlog(t.Context()); err != nil || n != 7 {
		t.Errorf("backlog is %d (%v), want the 7 that nobody has read", n, err)
	}
}
