package app

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/config"
	"penstock/engine/sqlite"
	"penstock/order"
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

// What a rehearsal sold is looked for behind what other sales sold after it, and only buyers of a copy are taken for them.
func TestRehearsalsFindTheirOwn(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	at := func(seconds ...int) (page []order.Order) {
		for _, s := range seconds {
			page = append(page, order.Order{Sale: "busy", CreatedAt: begun.Add(time.Duration(s) * time.Second)})
		}
		return page
	}
	if before(at(30, 20), begun) || !before(at(30, -1), begun) || !before(nil, begun) {
		t.Error("the search ends too early or never")
	}
	for user, want := range map[string]bool{
		"rehearsal-nimzdbjpjsncew3hlpmi5y7qfe-2": true, "rehearsal-nimzdbjpjsncew3hlpmi5y7qfe": false, "rehearsal-ann-2": false, "ann": false, "": false,
	} {
		if ofRehearsal(&busdriver.Message{User: user}) != want {
			t.Errorf("%q: want %v", user, want)
		}
	}
}
