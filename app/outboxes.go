package app

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	messages "penstock/bus/outbox"
	"penstock/bus/outboxbus"
	"penstock/gateway/api"
	"penstock/order"
	orderdriver "penstock/order/driver"
	"penstock/order/payment"
	"penstock/order/shard"
	"penstock/stock"
)

// outboxes are the message tables that rooms publish into, beside the journal of the stock. What is not there yet is told at the
// next look.
type outboxes struct {
	// tables are those of each topic, as the rooms opened them.
	tables map[string][]orderdriver.Outbox
	// sources read them.
	sources atomic.Pointer[map[string][]*messages.Source]
}

// published notes where a room's messages of a topic are.
func (o *outboxes) published(topic string, tables ...orderdriver.Outbox) {
	if o.tables == nil {
		o.tables = map[string][]orderdriver.Outbox{}
	}
	o.tables[topic] = tables
}

func (o *outboxes) of(topic string) []*messages.Source {
	if all := o.sources.Load(); all != nil {
		return (*all)[topic]
	}
	return nil
}

// wakePayments says that the payments have published, wakeOrders that a database of orders has. It never blocks.
func (o *outboxes) wakePayments() {
	for _, s := range o.of(payment.Topic) {
		s.Wake()
	}
}

func (o *outboxes) wakeOrders(database int) {
	all := o.of(order.Topic)
	if len(all) == shard.Databases { // one for each, on files
		all = all[database : database+1]
	}
	for _, s := range all {
		s.Wake()
	}
}

// startOutboxes opens the sources of what rooms publish. A process that relays and has none of these rooms opens their databases
// for it.
func (a *App) startOutboxes(ctx context.Context) (func(context.Context) error, error) {
	closed, err := a.openTables(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]*messages.Source{}
	for topic, tables := range a.outboxes.tables {
		for _, t := range tables {
			s, err := messages.New(ctx, t.DB, t.Name, topic, messages.Options{Clock: a.opt.Clock})
			if err != nil {
				return nil, errors.Join(err, closed())
			}
			all[topic] = append(all[topic], s)
		}
	}
	a.outboxes.sources.Store(&all)
	return func(context.Context) error { return closed() }, nil
}

func (a *App) openTables(ctx context.Context) (closed func() error, err error) {
	var opened []func() error
	closed = func() error {
		var all []error
		for _, f := range opened {
			all = append(all, f())
		}
		return errors.Join(all...)
	}
	if a.outboxes.tables[order.Topic] == nil {
		db, err := open(ctx, "orders", a.cfg.OrdersEngine(), a.engines().orders)
		if err != nil {
			return nil, err
		}
		opened = append(opened, db.Close)
		a.outboxes.published(order.Topic, db.Outboxes()...)
	}
	if a.outboxes.tables[payment.Topic] == nil {
		db, err := open(ctx, "orders", a.cfg.OrdersEngine(), a.engines().payments)
		if err != nil {
			return nil, errors.Join(err, closed())
		}
		opened = append(opened, db.Close)
		a.outboxes.published(payment.Topic, orderdriver.Outbox{Name: "payments", DB: db})
	}
	return closed, nil
}

// sources are the outboxes of each topic.
func (a *App) sources() map[string][]outboxbus.Source {
	all := map[string][]outboxbus.Source{stock.Topic: {a.stock.Source()}}
	for _, topic := range []string{order.Topic, payment.Topic} {
		all[topic] = nil
		for _, s := range a.outboxes.of(topic) {
			all[topic] = append(all[topic], s)
		}
	}
	return all
}

// eventTypes are the types of messages of each topic: what an endpoint of a webhook may ask for.
func eventTypes() map[string][]string {
	return map[string][]string{
		stock.Topic: {stock.EventHeld, stock.EventSold, stock.EventReleased}, order.Topic: order.EventTypes(), payment.Topic: payment.EventTypes(),
	}
}

// OutboxLags tells of every outbox what some reader of the bus has not got yet.
func (a *App) OutboxLags(ctx context.Context) ([]api.OutboxLag, error) {
	journal, err := a.journalLag(ctx)
	if err != nil {
		return nil, err
	}
	lags := []api.OutboxLag{journal}
	for _, topic := range []string{order.Topic, payment.Topic} {
		for _, s := range a.outboxes.of(topic) {
			waiting, oldest, err := s.Lag(ctx)
			if err != nil {
				return nil, err
			}
			lags = append(lags, a.lagOf(s.Name(), topic, waiting, oldest))
		}
	}
	return lags, nil
}

// lookFor is how far into what is waiting the first message of the journal is looked for: not every entry is one.
const lookFor = 100

// journalLag is the lag of the stock's journal, which counts entries.
func (a *App) journalLag(ctx context.Context) (lag api.OutboxLag, err error) {
	s := a.stock.Source()
	low, err := a.desk.cursors.Low(ctx, s.Name())
	if err != nil {
		return lag, fmt.Errorf("lag of %s: %w", s.Name(), err)
	}
	head, err := s.Head(ctx)
	if err != nil {
		return lag, fmt.Errorf("lag of %s: %w", s.Name(), err)
	}
	var oldest time.Time
	if head > low {
		msgs, _, err := s.Read(ctx, low, lookFor)
		if err != nil {
			return lag, fmt.Errorf("lag of %s: %w", s.Name(), err)
		}
		if len(msgs) > 0 {
			oldest = msgs[0].At
		}
	}
	return a.lagOf(s.Name(), stock.Topic, int64(head-min(low, head)), oldest), nil
}

func (a *App) lagOf(source, topic string, waiting int64, oldest time.Time) api.OutboxLag {
	lag := api.OutboxLag{Source: source, Topic: topic, Waiting: waiting}
	if !oldest.IsZero() {
		lag.OldestSeconds = max(0, a.opt.Clock.Now().Sub(oldest).Seconds())
	}
	return lag
}

// lagEvery is the pause between two looks at the lag, for the metrics.
const lagEvery = 2 * time.Second

// watchOutboxes keeps the lag of the outboxes in the metrics of the processes that relay.
func (a *App) watchOutboxes(ctx context.Context) (func(context.Context) error, error) {
	waiting := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_outbox_waiting", Help: "Messages of an outbox that some reader has not got yet; of the stock's journal, entries.",
	}, []string{"source"})
	oldest := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_outbox_oldest_seconds", Help: "Age of the oldest message of an outbox that some reader has not got yet; 0 when there is none.",
	}, []string{"source"})
	a.metrics.Registry().MustRegister(waiting, oldest)
	stop := a.repeat(ctx, lagEvery, "look at the outboxes", func(ctx context.Context) error {
		lags, err := a.OutboxLags(ctx)
		for _, l := range lags {
			waiting.WithLabelValues(l.Source).Set(float64(l.Waiting))
			oldest.WithLabelValues(l.Source).Set(l.OldestSeconds)
		}
		return err
	})
	return func(context.Context) error { stop(); return nil }, nil
}

// repeat does something now and every so often until it is stopped; what fails is logged and tried again.
func (a *App) repeat(ctx context.Context, every time.Duration, what string, do func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn(what, "error", err.Error())
			}
			t := a.opt.Clock.NewTimer(every)
			select {
			case <-t.C():
			case <-ctx.Done():
			}
			t.Stop()
		}
	}()
	return func() { cancel(); <-done }
}
