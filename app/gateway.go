package app

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/breaker"
	"penstock/config"
	"penstock/errs"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/gateway/policy"
	"penstock/limit"
	"penstock/partner"
	"penstock/shed"
	"penstock/stock"
	"penstock/stock/driver"
)

// startGateway reads the policy that the public listener will follow, and follows its file.
func (a *App) startGateway(ctx context.Context) (func(context.Context) error, error) {
	loads := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "penstock_gateway_policy_loads_total", Help: "Policy files that were read after the start, by result: used, refused."}, []string{"result"})
	a.metrics.Registry().MustRegister(loads)
	used, refused := loads.WithLabelValues("used"), loads.WithLabelValues("refused")
	live, err := policy.Open(a.cfg.Gateway.File, a.policyRooms(), policy.Options{Clock: a.opt.Clock, Logger: a.log, Loaded: func(err error) {
		if err != nil {
			refused.Inc()
			return
		}
		used.Inc()
	}})
	if err != nil {
		return nil, err
	}
	if err := live.Start(ctx); err != nil {
		return nil, err
	}
	a.metrics.Registry().MustRegister(newGateSeries(live.Counts))
	a.metrics.Registry().MustRegister(newProcesses(live))
	a.policy, a.sweeps = live, append(a.sweeps, live.Sweep)
	a.policed.Store(true)
	if a.missed.Load() {
		a.quotasChanged()
	}
	return live.Stop, nil
}

// policyRooms are the parts of a policy in this process.
func (a *App) policyRooms() policy.Rooms {
	r := PolicyRooms(a.cfg)
	r.Forward = a.forwards()
	r.Limit.Clock, r.Shed.Clock, r.Quotas = a.opt.Clock, a.opt.Clock, a.quotas
	if a.limits != nil {
		r.Limit.Shared = a.limits
	}
	r.Break = func(name string) breaker.Options {
		return breaker.Options{OnChange: func(from, to breaker.State) {
			a.log.Warn("a breaker has changed its state", "breaker", name, "from", string(from), "to", string(to))
		}}
	}
	return r
}

// PolicyRooms are the parts that a policy file can be checked with, without a server.
func PolicyRooms(cfg config.Config) policy.Rooms {
	return policy.Rooms{
		Routes: ownRoutes(cfg), Forward: forwardDeps(cfg), APIs: partner.BuiltInAPIs(), Limits: usualLimits(cfg.Limits),
		Limit: limit.SetOptions{}, Shed: shed.Options{},
	}
}

// usualLimits are those that the keys limits.* make.
func usualLimits(l config.Limits) []limit.Rule {
	var all []limit.Rule
	for _, r := range []struct {
		name string
		by   limit.Dimension
		rate config.Rate
		free []string
	}{{"ip", limit.ByIP, l.IP, nil}, {"user", limit.ByUser, l.User, nil}, {"api", limit.ByAPI, l.API, gateway.FreeRoutes()}} {
		if !r.rate.Off() {
			all = append(all, limit.Rule{Name: r.name, By: []limit.Dimension{r.by}, Rate: limit.Rate{Calls: int(r.rate.N), Per: r.rate.Per}, Except: r.free})
		}
	}
	return all
}

// ReloadGateway reads the policy file again. After an error, which says what is wrong, the policy in use stays.
func (a *App) ReloadGateway() error {
	if a.policy == nil {
		return nil
	}
	_, err := a.policy.Reload()
	return err
}

// policies is the policy as operators handle it.
type policies struct {
	*policy.Live
	ask    *gateway.Gateway
	record func(context.Context, driver.Audit) error
}

// policies returns them, with a gateway that knows every public route and is only ever asked.
func (a *App) policies(d api.Deps) (policies, error) {
	o := d.Gateway
	o.Attempts, o.Observer = unasked{}, nil
	g, err := gateway.New(d.Verifier, api.PublicRouter(), o)
	if err != nil {
		return policies{}, err
	}
	return policies{a.policy, g, a.stock.Record}, a.policy.Attach(g)
}

// Explain answers a question; see gateway.Gateway.
func (p policies) Explain(ctx context.Context, q gateway.Question) (gateway.Explanation, error) {
	return p.ask.Explain(ctx, q)
}

// Reload reads the file again and records the act, with the policy before and after.
func (p policies) Reload(ctx context.Context, who, why string) (policy.PolicyView, error) {
	before := p.Status()
	after, err := p.Live.Reload()
	record := p.record(ctx, driver.Audit{Who: who, Act: "gateway.reload", Object: "gateway", Why: why, Before: statusText(before), After: statusText(after)})
	if err != nil {
		return policy.PolicyView{}, errors.Join(errs.New(errs.Invalid, "nothing has changed: %v", err), record)
	}
	return p.View(), record
}

func statusText(s policy.Status) string {
	text, _ := json.Marshal(s) // always has a JSON form
	return string(text)
}

// unasked makes a gateway know the attempt path; nobody attempts there.
type unasked struct{}

// Attempt is not called.
func (unasked) Attempt(context.Context, stock.Request) stock.Answer { return stock.Answer{} }
