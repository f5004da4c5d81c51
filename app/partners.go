package app

import (
	"context"
	"errors"

	"penstock/engine/groupcommit"
	"penstock/engine/redis"
	"penstock/limit"
	"penstock/partner"
	"penstock/partner/redisnonce"
	"penstock/stock/driver"
	"penstock/webhook/standard"
)

// startApps opens the third-party apps: operators manage them, and every process with a public listener lets them in.
func (a *App) startApps(ctx context.Context) (func(context.Context) error, error) {
	key, err := a.appsKey()
	if err != nil {
		return nil, err
	}
	box, err := partner.NewSealer([]byte(key.Reveal()))
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, "stock", a.cfg.Stock, map[string]func(context.Context) (partner.Store, error){"sqlite": a.sqliteApps, "mysql": a.mysqlApps})
	if err != nil {
		return nil, err
	}
	replay, closed, err := a.nonces(ctx)
	if err == nil {
		a.partners, err = partner.New(db, box, partner.Options{
			Clock: a.opt.Clock, Logger: a.log, Issue: a.ring.Sign, TokenTTL: a.cfg.Apps.TokenTTL, Replay: replay, Changed: a.quotasChanged,
			Audit: func(ctx context.Context, act partner.Act) error {
				return a.stock.Record(ctx, driver.Audit{Who: act.Who, Act: act.Act, Object: act.Object, Why: act.Why, Before: act.Before, After: act.After, ID: act.ID})
			},
		})
		if err == nil {
			err = a.partners.Start(ctx)
		}
		if err != nil {
			closed()
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func(ctx context.Context) error {
		err := a.partners.Stop(ctx)
		closed()
		return errors.Join(err, db.Close())
	}, nil
}

// quotasChanged lets the limits learn the quotas of apps, once there is a policy.
func (a *App) quotasChanged() {
	if a.missed.Store(true); !a.policed.Load() || !a.missed.Swap(false) {
		return
	}
	if err := a.policy.Rebuild(); err != nil {
		a.log.Error("the quotas of apps are not in force", "error", err.Error())
	}
}

// quotas are those of the apps that there are now.
func (a *App) quotas() []limit.Rule {
	if a.partners == nil {
		return nil
	}
	return a.partners.Quotas()
}

// appsKey is what seals the signing secrets of apps.
func (a *App) appsKey() (standard.Secret, error) {
	if a.cfg.Apps.Key != "" {
		return standard.ParseSecret(a.cfg.Apps.Key)
	}
	return a.keptSecret("apps.key")
}

// nonces remembers what was signed in the gate's Redis, where there is one, else in the store of the apps (nil).
func (a *App) nonces(ctx context.Context) (partner.Replay, func(), error) {
	if a.cfg.Gate == "memory" {
		return nil, func() {}, nil
	}
	cfg, err := redis.Parse(a.cfg.Gate)
	if err != nil {
		return nil, nil, err
	}
	prefix := gatePrefix(a.cfg.Stock)
	// Without Redis signed calls are refused, and nothing else.
	client, err := redis.Open(ctx, cfg, redis.Options{Logger: a.log, Late: true, Prefix: prefix, Commands: redisnonce.Commands()})
	if err != nil {
		return nil, nil, err
	}
	return redisnonce.New(client, prefix, a.opt.Clock), client.Close, nil
}

func (a *App) sqliteApps(ctx context.Context) (partner.Store, error) {
	return partner.OpenSQLite(ctx, a.path("apps.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// appsPool suffices: apps are read once a second, and nonces are one short insert.
const appsPool = 8

func (a *App) mysqlApps(ctx context.Context) (partner.Store, error) {
	o := quick()
	o.Pool = appsPool
	return a.besideStock(ctx, "apps", o, partner.OpenMySQL)
}
