package telemetry

import "github.com/prometheus/client_golang/prometheus"

// money counts what of payments somebody should look at.
type money struct{ cases, late *prometheus.CounterVec }

func newMoney(r *prometheus.Registry) money {
	m := money{
		cases: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "payment_cases_total", Help: "Cases raised about payments, by kind (docs/payments.md)."}, []string{"kind"}),
		late:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "payment_late_total", Help: "Payments whose money came after the claim was released, by what became of it (reclaimed, refunded, case)."}, []string{"outcome"}),
	}
	r.MustRegister(m.cases, m.late)
	return m
}

// PaymentCase counts a new case. Kinds are words of package payment.
func (m *Metrics) PaymentCase(kind string) { m.money.cases.WithLabelValues(label(kind)).Inc() }

// LateMoney counts a late payment by its outcome.
func (m *Metrics) LateMoney(outcome string) { m.money.late.WithLabelValues(label(outcome)).Inc() }
