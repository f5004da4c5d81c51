package app

import (
	"context"
	"errors"
	"net/http"

	"penstock/gateway"
)

// serve opens a listener, serves h on it and returns what stops both: no new connections, those in flight finish within the
// drain time-out, the rest is cut.
func (a *App) serve(name, addr string, h http.Handler) (func(context.Context) error, error) {
	l, err := a.listen(name, addr)
	if err != nil {
		return nil, err
	}
	srv := gateway.Server(h, gateway.ServerOptions{
		ReadTimeout: a.cfg.Timeouts.Body, WriteTimeout: a.cfg.Timeouts.Write, IdleTimeout: a.cfg.Timeouts.Idle, MaxHeaderBytes: int(a.cfg.HeaderLimit),
		ErrorLog: a.log, ConnState: a.metrics.ConnState,
	})
	go func() {
		if err := srv.Serve(a.metrics.Listener(l)); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("a listener has failed", "listener", name, "error", err.Error())
		}
	}()
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeouts.Drain)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			a.log.Warn("connections were cut at the end of the drain time-out", "listener", name)
			return srv.Close()
		}
		return nil
	}, nil
}
