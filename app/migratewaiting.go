package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	messages "penstock/bus/outbox"
	"penstock/order"
	orderdriver "penstock/order/driver"
	"penstock/order/payment"
)

// drained refuses to move while some reader of the bus has not got a message that orders or payments have published. It names the
// outboxes and how many wait in each.
func (m *migration) drained(ctx context.Context) (err error) {
	if _, err := os.Stat(m.source.path("bus.db")); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has ever been carried, so nothing has been published
	}
	desk, err := m.source.sqliteDesk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.close()) }()
	orders, err := m.source.sqliteOrders(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, orders.Close()) }()
	payments, err := m.source.sqlitePayments(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, payments.Close()) }()
	var found []string
	for topic, tables := range map[string][]orderdriver.Outbox{
		order.Topic: orders.Outboxes(), payment.Topic: {{Name: "payments", DB: payments}},
	} {
		for _, t := range tables {
			n, err := waiting(ctx, t, topic, desk)
			if err != nil {
				return err
			}
			if n > 0 {
				found = append(found, fmt.Sprintf("%d in %s/%s", n, t.Name, topic))
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("messages of %s have not reached all their readers, and would be lost by the move: %s; "+
		"start the server on this directory again with its sales paused, wait until GET /admin/v1/drained says that nothing waits, stop it, and run penstock migrate again",
		m.source.cfg.Data, strings.Join(found, ", "))
}

// waiting counts the messages of a topic in a table behind the reader that is furthest behind.
func waiting(ctx context.Context, t orderdriver.Outbox, topic string, d desk) (n int64, err error) {
	s, err := messages.New(ctx, t.DB, t.Name, topic, messages.Options{})
	if err != nil {
		return 0, err
	}
	low, err := d.cursors.Low(ctx, s.Name())
	if err != nil {
		return 0, err
	}
	if err = t.Scan(ctx, `SELECT count(*) FROM message_outbox WHERE topic = ? AND seq > ?`, []any{topic, low}, &n); err != nil {
		return 0, fmt.Errorf("what waits in %s: %w", s.Name(), err)
	}
	return n, nil
}
