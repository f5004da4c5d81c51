package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"penstock/errs"
	"penstock/internal/clock"
)

// MetricsOptions are what [NewMetrics] may be told. The zero value works.
type MetricsOptions struct {
	// Version and Commit are shown by penstock_build_info.
	Version, Commit string
	// Clock is for the windowed success rate; nil means the machine's.
	Clock clock.Clock
}

// Metrics are the series of one Penstock, in a registry of their own.
type Metrics struct {
	registry *prometheus.Registry
	http     httpSeries
	states   [3]prometheus.Gauge // by connState

	attempts map[string]prometheus.Counter // by result; read only after New
	replays  prometheus.Counter
	batch    prometheus.Histogram
	commit   prometheus.Histogram
	lag      *prometheus.GaugeVec
	rows     prometheus.Counter
	dropped  prometheus.Counter

	orders   *prometheus.CounterVec
	amounts  *prometheus.HistogramVec
	external *prometheus.HistogramVec
	payments *payments
	money    money
	violated *prometheus.GaugeVec
}

// Results of an attempt that are not the code of a refusal.
const (
	ResultWon     = "won"
	ResultUnknown = "unknown"
	resultOther   = "other"
)

// NewMetrics returns metrics with the Go runtime's and the process's series beside Penstock's.
func NewMetrics(o MetricsOptions) *Metrics {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	m := &Metrics{registry: prometheus.NewRegistry(), attempts: map[string]prometheus.Counter{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "penstock_build_info", Help: "Always 1; the labels say what runs."}, []string{"version", "commit"})
	build.WithLabelValues(o.Version, o.Commit).Set(1)
	m.registry.MustRegister(build)
	m.registerHTTP()
	m.registerSelling()
	m.registerBusiness(o.Clock)
	m.violated = newViolated(m.registry)
	return m
}

func (m *Metrics) registerSelling() {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "penstock_attempts_total", Help: "Answers to attempts, by result: won, unknown, or the code of the refusal."}, []string{"result"})
	for _, r := range []string{ResultWon, ResultUnknown, resultOther} {
		m.attempts[r] = attempts.WithLabelValues(r)
	}
	for _, c := range errs.Codes() {
		if c != errs.Unknown {
			m.attempts[string(c)] = attempts.WithLabelValues(string(c))
		}
	}
	m.attempts[string(errs.Unknown)] = m.attempts[ResultUnknown]
	m.replays = prometheus.NewCounter(prometheus.CounterOpts{Name: "penstock_attempt_replays_total", Help: "Attempts answered from what their key was bound to before."})
	m.batch = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "penstock_batch_size", Help: "Attempts decided in one transaction.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}})
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "penstock_commit_duration_seconds", Help: "Time from the begin of a batch's transaction until it is durable.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}})
	m.lag = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "penstock_bus_lag", Help: "Messages that a consumer group has not dealt with."}, []string{"group"})
	m.rows = prometheus.NewCounter(prometheus.CounterOpts{Name: "penstock_order_writer_rows_total", Help: "Orders inserted by the batch writer."})
	m.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "penstock_spans_dropped_total", Help: "Spans that were not written because their writer could not keep up."})
	m.registry.MustRegister(attempts, m.replays, m.batch, m.commit, m.lag, m.rows, m.dropped)
}

// Registry is where further collectors of the same Penstock are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the series in the Prometheus text formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Attempt counts the answer to one attempt. result is [ResultWon], [ResultUnknown] or an [errs.Code]; anything else is counted
// as "other".
func (m *Metrics) Attempt(result string, replayed bool) {
	c, ok := m.attempts[result]
	if !ok {
		c = m.attempts[resultOther]
	}
	c.Inc()
	if replayed {
		m.replays.Inc()
	}
}

// Batch records one durable group commit.
func (m *Metrics) Batch(attempts int, commit time.Duration) {
	m.batch.Observe(float64(attempts))
	m.commit.Observe(commit.Seconds())
}

// BusLag sets how many messages a consumer group has before it.
func (m *Metrics) BusLag(group string, messages int64) {
	m.lag.WithLabelValues(group).Set(float64(messages))
}

// OrdersWritten counts rows of the batch writer.
func (m *Metrics) OrdersWritten(rows int) { m.rows.Add(float64(rows)) }

// SpanDropped counts a span that was not written; it fits [TracingOptions.Dropped].
func (m *Metrics) SpanDropped() { m.dropped.Inc() }
