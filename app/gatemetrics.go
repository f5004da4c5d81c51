package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"penstock/breaker"
	"penstock/gateway/policy"
	"penstock/shed"
)

// gateSeries are the series of the policy in use. They are read when somebody asks, so that no call pays for them. Their labels are
// names of a policy: a file has few.
type gateSeries struct {
	counts                                                    func() policy.Counts
	running, limit, waiting, passed, refused, broken, decided *prometheus.Desc
}

func newGateSeries(counts func() policy.Counts) *gateSeries {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("penstock_"+name, help, labels, nil)
	}
	return &gateSeries{
		counts:  counts,
		running: d("shed_running", "Calls that the shedder has let through and that run."),
		limit:   d("shed_limit", "Calls that may run at once now."),
		waiting: d("shed_waiting", "Calls that wait for their turn."),
		passed:  d("shed_passed_total", "Calls let through by class.", "class"),
		refused: d("shed_refused_total", "Calls refused for lack of room by class.", "class"),
		broken:  d("breaker_state", "1 for the state that a breaker of the policy is in: closed, half-open, open.", "breaker", "state"),
		decided: d("limit_decisions_total", "Calls by the rule that counted them, and by the one that refused them: allowed, refused.", "rule", "result"),
	}
}

// Describe sends what there may be.
func (s *gateSeries) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.running, s.limit, s.waiting, s.passed, s.refused, s.broken, s.decided} {
		to <- d
	}
}

// Collect sends what there is.
func (s *gateSeries) Collect(to chan<- prometheus.Metric) {
	c := s.counts()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(s.running, float64(c.Shed.Running))
	gauge(s.limit, float64(c.Shed.Limit))
	gauge(s.waiting, float64(c.Shed.Waiting))
	for _, class := range shed.Classes() {
		count(s.passed, c.Shed.Passed[class], class.String())
		count(s.refused, c.Shed.Refused[class], class.String())
	}
	for name, now := range c.Breakers {
		for _, state := range []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open} {
			is := 0.0
			if state == now {
				is = 1
			}
			gauge(s.broken, is, name, string(state))
		}
	}
	seen := map[string]bool{} // two sets may have rules of one name: quotas of apps, and a file's
	for _, rule := range c.Limits {
		if !seen[rule.Rule] {
			seen[rule.Rule] = true
			count(s.decided, rule.Allowed, rule.Rule, "allowed")
			count(s.decided, rule.Refused, rule.Rule, "refused")
		}
	}
}
