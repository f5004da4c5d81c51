// Package app is the only place that knows every room: it builds them from one config, starts them in order and stops them in
// the reverse order.
//
// An App holds no global state; two of them run in one process on two data directories. It is ready (probe listener,
// /health/ready) only after the data directory is owned, every database is recovered and checked, and the listeners stand.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"penstock/auth"
	"penstock/balance"
	"penstock/bus"
	"penstock/config"
	"penstock/gateway"
	"penstock/gateway/policy"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/limit/redislimit"
	"penstock/line"
	"penstock/order"
	"penstock/order/payment"
	"penstock/partner"
	"penstock/reconcile"
	"penstock/saga"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/gate"
	"penstock/telemetry"
	"penstock/webhook"
	"penstock/webhook/standard"
)

// Options is what an App needs beside its config. The zero value works.
type Options struct {
	Clock clock.Clock
	// Log takes the JSON lines; nil means standard error.
	Log io.Writer
	// Fault plans what goes wrong, in tests.
	Fault *fault.Points
	// Judge starts on a directory whose stock does not add up all the same, for somebody who looks at it and serves nobody.
	Judge bool
	// Version and Commit are shown in metrics and logs.
	Version, Commit string
}

// App is one Penstock.
type App struct {
	cfg config.Config
	opt Options
	log *slog.Logger

	metrics *telemetry.Metrics
	tracing *telemetry.Tracing
	health  *telemetry.Health

	ring     *auth.Ring
	stockDB  stockDB
	gate     *gate.Memory
	door     atomic.Pointer[door]
	stock    *stock.Stock
	sales    *sale.Sales
	lines    *line.Lines
	orders   *order.Orders
	payments *payment.Payments
	pays     map[string]payment.Provider
	balances *balance.Balances
	webhooks *webhook.Hooks
	outboxes outboxes
	partners *partner.Apps
	policed  atomic.Bool // there is a policy, which wants to know of quotas
	missed   atomic.Bool // quotas changed before that
	sagas    *saga.Coordinator
	secret   standard.Secret
	login    *login
	leader   *leader
	desk     desk
	live     *live // what operators' pages watch
	bus      *bus.Bus
	repair   *reconcile.Reconciler
	rows     reconcile.Rows // of the orders
	events   *events
	drain    *gateway.Drain
	policy   *policy.Live      // of the public listener
	limits   *redislimit.Redis // nil when each instance counts alone
	sweeps   []func()          // forget idle keys of limits
	holders  *holders
	busy     atomic.Pointer[func() int64]
	crowded  atomic.Int64 // when a batch of a rush was committed last, in nanoseconds since 1970

	mu      sync.Mutex
	started []started // to be stopped, last first
	addrs   map[string]string
}

// started is a step that has been taken, with what undoes it.
type started struct {
	name string
	stop func(context.Context) error
}

// New checks the config and prepares the logs. Nothing is opened before Start.
func New(_ context.Context, cfg config.Config, o Options) (*App, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if err := Check(cfg); err != nil {
		return nil, err
	}
	level, err := telemetry.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	var lv slog.LevelVar
	lv.Set(level)
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	a := &App{cfg: cfg, opt: o, addrs: map[string]string{}, events: newEvents(), drain: gateway.NewDrain(), leader: &leader{now: time.Now}}
	a.log = telemetry.NewLogger(o.Log, telemetry.LogOptions{Service: "penstock", Version: o.Version, Host: host, Env: cfg.Log.Env, Level: &lv})
	a.metrics = telemetry.NewMetrics(telemetry.MetricsOptions{Version: o.Version, Commit: o.Commit, Clock: o.Clock})
	a.health = telemetry.NewHealth(telemetry.HealthOptions{})
	a.live = newLive(o.Clock.Now)
	a.holders = newHolders(o.Clock, holdersKept)
	a.sweeps = append(a.sweeps, a.holders.sweep)
	return a, nil
}

// Start takes every step in order. After an error everything that was started is stopped again.
func (a *App) Start(ctx context.Context) error {
	begin := time.Now()
	for _, s := range a.steps() {
		if len(s.roles) > 0 && !a.cfg.Has(s.roles...) {
			continue
		}
		stop, err := s.start(ctx)
		if err != nil {
			err = fmt.Errorf("start %s: %w", s.name, err)
			return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
		a.mu.Lock()
		a.started = append(a.started, started{s.name, stop})
		a.mu.Unlock()
	}
	a.log.Info("ready", "data", a.cfg.Data, "listen", a.Addrs(), telemetry.Took(time.Since(begin)))
	return nil
}

// Stop undoes the steps, last first, and returns what went wrong. Idempotent. It is bounded by ctx and the drain time-out.
func (a *App) Stop(ctx context.Context) error {
	a.health.Draining()
	a.drain.Begin()
	a.mu.Lock()
	steps := a.started
	a.started = nil
	a.mu.Unlock()
	if len(steps) > 0 {
		a.log.Info("stopping")
		defer a.log.Info("stopped")
	}
	var all []error
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].stop == nil {
			continue
		}
		if err := steps[i].stop(ctx); err != nil {
			all = append(all, fmt.Errorf("stop %s: %w", steps[i].name, err))
		}
	}
	return errors.Join(all...)
}

// Addrs returns the addresses in use by listener name.
func (a *App) Addrs() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]string, len(a.addrs))
	for k, v := range a.addrs {
		all[k] = v
	}
	return all
}

// Token signs a bearer token for a user; role is "" or "operator".
func (a *App) Token(user, role string, life time.Duration) (string, error) {
	return a.ring.Sign(auth.Claims{User: user, Role: role, Expires: a.opt.Clock.Now().Add(life)})
}

func (a *App) path(parts ...string) string {
	return filepath.Join(append([]string{a.cfg.Data}, parts...)...)
}

// listen opens a listener and remembers its address.
func (a *App) listen(name, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen.%s is %q: %w; choose another address, for example 127.0.0.1:0 for a free port", name, addr, err)
	}
	a.mu.Lock()
	a.addrs[name] = l.Addr().String()
	a.mu.Unlock()
	return l, nil
}
