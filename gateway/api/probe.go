package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/gateway"
)

// Probe returns the handler of the probes' listener: metrics, health and, when switched on, profiles. It asks for no token.
func Probe(d Deps) (*gateway.Gateway, error) {
	err := need("probe", map[string]bool{
		"Metrics": d.Metrics != nil, "Health.Live": d.Health.Live != nil, "Health.Ready": d.Health.Ready != nil, "Health.Startup": d.Health.Startup != nil,
	})
	if err != nil {
		return nil, err
	}
	d = d.withDefaults()
	s := newRoutes(gateway.ByAnyone)
	s.handle("GET /metrics", gateway.ByAnyone, d.Metrics.ServeHTTP)
	s.handle("GET /health/live", gateway.ByAnyone, health(d.Health.Live))
	s.handle("GET /health/startup", gateway.ByAnyone, health(d.Health.Startup))
	s.handle("GET /health/ready", gateway.ByAnyone, health(func(ctx context.Context) error {
		if d.Gateway.Drain.Begun() {
			return errors.New("draining")
		}
		return d.Health.Ready(ctx)
	}))
	if d.Pprof {
		s.handle("GET /debug/pprof", gateway.ByAnyone, pprof.Index)
		s.handle("GET /debug/pprof/{profile}", gateway.ByAnyone, new(profiles).serve)
	}
	return gateway.New(nobody{}, s, gateway.Options{Clock: d.Gateway.Clock, ProblemBase: d.Gateway.ProblemBase, Logger: d.Gateway.Logger})
}

func health(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := check(r.Context()); err != nil {
			fail(r, &errs.Error{Code: errs.ReducedCapacity, Detail: err.Error(), RetryAfter: time.Second})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
	}
}

// nobody is a verifier for a listener that asks for no token.
type nobody struct{}

func (nobody) Verify(string) (auth.Identity, error) {
	return auth.Identity{}, errs.New(errs.Unauthenticated, "no tokens here")
}

func (nobody) VerifyPass(string, time.Time) (user, sale string, err error) {
	return "", "", errs.New(errs.Unauthenticated, "no passes here")
}
