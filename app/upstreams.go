package app

import (
	"maps"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/config"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/gateway/policy"
	"penstock/gateway/upstream"
)

// forwards are what routes to other services need of this process.
func (a *App) forwards() *upstream.Deps {
	tries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_upstream_events_total",
		Help: "Tries of forwarded calls by how they ended (answered, error, failed, late), and retry, hedge, breaker (open), nobody (no process), default and second (path).",
	}, []string{"upstream", "event"})
	a.metrics.Registry().MustRegister(tries)
	d := forwardDeps(a.cfg)
	d.Clock, d.Logger, d.Drain = a.opt.Clock, a.log, a.drain.Done()
	d.Observe = func(upstream, what string) { tries.WithLabelValues(upstream, what).Inc() }
	return d
}

// forwardDeps are what a policy file can be checked with.
func forwardDeps(cfg config.Config) *upstream.Deps {
	return &upstream.Deps{Dir: filepath.Dir(cfg.Gateway.File)}
}

// ownRoutes are the calls that this process answers itself. A process without rooms may forward all others.
func ownRoutes(cfg config.Config) map[string]gateway.Access {
	all := api.PublicRoutes()
	if !cfg.Has(config.RoleSale, config.RoleOrder, config.RoleAdmin) {
		maps.DeleteFunc(all, func(name string, _ gateway.Access) bool { return strings.Contains(name, " /v1/") })
	}
	return all
}

// processes shows how the processes of the upstreams are.
type processes struct {
	*policy.Live
	up, inFlight *prometheus.Desc
}

func newProcesses(l *policy.Live) processes {
	labels := []string{"upstream", "target"}
	return processes{
		l,
		prometheus.NewDesc("penstock_upstream_process_up", "1 for a process that gets calls, 0 for one that is left out because its health check or its calls fail.", labels, nil),
		prometheus.NewDesc("penstock_upstream_process_in_flight", "Forwarded calls that a process has not answered to their end.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (p processes) Describe(to chan<- *prometheus.Desc) { to <- p.up; to <- p.inFlight }

// Collect implements prometheus.Collector.
func (p processes) Collect(to chan<- prometheus.Metric) {
	for _, s := range p.Upstreams() {
		up := 0.0
		if s.Healthy && !s.Ejected {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(p.up, prometheus.GaugeValue, up, s.Upstream, s.Target)
		to <- prometheus.MustNewConstMetric(p.inFlight, prometheus.GaugeValue, float64(s.InFlight), s.Upstream, s.Target)
	}
}
