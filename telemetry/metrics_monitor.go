package telemetry

import "github.com/prometheus/client_golang/prometheus"

func newViolated(r *prometheus.Registry) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "penstock_invariant_violations", Help: "Violations of invariants that stand now, by kind (docs/reconcile.md)."}, []string{"kind"})
	r.MustRegister(g)
	return g
}

// Violations sets how many violations of a kind stand. Kinds are words of package reconcile.
func (m *Metrics) Violations(kind string, n int) {
	m.violated.WithLabelValues(label(kind)).Set(float64(n))
}
