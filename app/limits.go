package app

import (
	"context"

	"penstock/config"
	"penstock/engine/redis"
	"penstock/limit/redislimit"
)

// startLimits connects to the counters that all instances share. Without limits.shared each counts alone.
func (a *App) startLimits(ctx context.Context) (func(context.Context) error, error) {
	if a.cfg.Limits.Shared == "off" {
		return nil, nil
	}
	cfg, err := redis.Parse(a.cfg.Limits.Shared)
	if err != nil {
		return nil, err
	}
	// Counters that are away do not keep a sale from starting.
	client, err := redis.Open(ctx, cfg, redis.Options{Logger: a.log, Late: true, Prefix: redislimit.Prefix, Commands: redislimit.Commands()})
	if err != nil {
		return nil, &EngineError{"limits.shared", config.Masked(a.cfg.Limits.Shared), err}
	}
	shared, err := redislimit.New(client, redislimit.Options{Clock: a.opt.Clock, Logger: a.log})
	if err == nil {
		err = shared.Start(ctx)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	a.limits = shared
	return func(ctx context.Context) error {
		err := shared.Stop(ctx)
		client.Close()
		return err
	}, nil
}
