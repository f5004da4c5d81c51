package app

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/config"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/internal/egress"
	"penstock/stock/driver"
	"penstock/webhook"
	"penstock/webhook/standard"
)

// startWebhooks opens the outgoing webhooks. Operators see them in every process; the processes that relay deliver them.
func (a *App) startWebhooks(ctx context.Context) (func(context.Context) error, error) {
	key, err := a.webhookKey()
	if err != nil {
		return nil, err
	}
	seal, err := webhook.NewSealer([]byte(key.Reveal()))
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, "stock", a.cfg.Stock, map[string]func(context.Context) (webhook.Store, error){"sqlite": a.sqliteWebhooks, "mysql": a.mysqlWebhooks})
	if err != nil {
		return nil, err
	}
	a.webhooks, err = webhook.New(db, seal, a.webhookOptions())
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	watched := func() {}
	if a.cfg.Has(config.RoleRelay) {
		if err := a.webhooks.Start(ctx); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		watched = a.watchEndpoints(ctx)
	}
	return func(ctx context.Context) error { watched(); return errors.Join(a.webhooks.Stop(ctx), db.Close()) }, nil
}

// watchEndpoints keeps in the metrics how the endpoints do, for alerts: one that is disabled stays so until somebody acts.
func (a *App) watchEndpoints(ctx context.Context) (stop func()) {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_webhook_endpoints", Help: "Endpoints of outgoing webhooks by how they do: working, failing, disabled.",
	}, []string{"health"})
	a.metrics.Registry().MustRegister(gauge)
	return a.repeat(ctx, lagEvery, "look at the webhook endpoints", func(ctx context.Context) error {
		all, err := a.webhooks.List(ctx)
		if err != nil {
			return err
		}
		count := map[string]float64{webhook.Working: 0, webhook.Failing: 0, webhook.Disabled: 0}
		for i := range all {
			count[all[i].Health()]++
		}
		for health, n := range count {
			gauge.WithLabelValues(health).Set(n)
		}
		return nil
	})
}

// webhookKey is what seals the secrets of endpoints.
func (a *App) webhookKey() (standard.Secret, error) {
	if a.cfg.Webhooks.Key != "" {
		return standard.ParseSecret(a.cfg.Webhooks.Key)
	}
	return a.keptSecret("webhooks.key")
}

func (a *App) sqliteWebhooks(ctx context.Context) (webhook.Store, error) {
	return webhook.OpenSQLite(ctx, a.path("webhooks.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// webhookPool is small: deliveries are few, and slow for other reasons.
const webhookPool = 6

func (a *App) mysqlWebhooks(ctx context.Context) (webhook.Store, error) {
	return a.besideStock(ctx, "webhooks", mysql.Options{Pool: webhookPool}, webhook.OpenMySQL)
}

// webhookOptions binds the metrics and the trail. A warning goes to the log when private addresses are open.
func (a *App) webhookOptions() webhook.Options {
	if a.cfg.Webhooks.AllowPrivate {
		a.log.Warn("webhooks may reach addresses inside; webhooks.allowPrivate is for tests and closed networks")
	}
	tries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "penstock_webhook_tries_total", Help: "Tries of outgoing webhooks by result: delivered, failed, given-up."}, []string{"result"})
	disabled := prometheus.NewCounter(prometheus.CounterOpts{Name: "penstock_webhook_disabled_total", Help: "Endpoints disabled by what they answered or by days of failure."})
	a.metrics.Registry().MustRegister(tries, disabled)
	for _, result := range []string{"delivered", "failed", "given-up"} {
		tries.WithLabelValues(result)
	}
	calls := a.metrics.External("webhook")
	return webhook.Options{
		Clock: a.opt.Clock, Logger: a.log, Fault: a.opt.Fault,
		Types: eventTypes(), Skip: ofRehearsal,
		Guard: egress.Guard{AllowInsecure: a.cfg.Webhooks.AllowInsecure, AllowPrivate: a.cfg.Webhooks.AllowPrivate},
		Audit: func(ctx context.Context, act webhook.Act) error {
			return a.stock.Record(ctx, driver.Audit{Who: act.Who, Act: act.Act, Object: act.Object, Why: act.Why, Before: act.Before, After: act.After, ID: act.ID})
		},
		Tried: func(result string, took time.Duration) {
			tries.WithLabelValues(result).Inc()
			var err error
			if result != "delivered" {
				err = errors.New(result)
			}
			calls.Called(took, err)
		},
		Disabled: func(string, string) { disabled.Inc() },
	}
}

// consumeWebhooks lets the webhooks read what the bus says, where they are delivered, and only what an endpoint may ask for: with
// none there is one look a half second.
func (a *App) consumeWebhooks() error {
	if a.webhooks == nil || !a.cfg.Has(config.RoleRelay) {
		return nil
	}
	for topic := range eventTypes() {
		wanted := func(ctx context.Context) (bool, error) { return a.webhooks.Wanted(ctx, topic) }
		if err := a.bus.ConsumeWhile(webhook.Group, topic, wanted, a.webhooks.Handle); err != nil {
			return err
		}
	}
	return nil
}
