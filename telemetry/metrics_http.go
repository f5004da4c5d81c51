package telemetry

import (
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type httpSeries struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	in, out  *prometheus.HistogramVec
}

func (m *Metrics) registerHTTP() {
	labels := []string{"method", "route"}
	sizes := prometheus.ExponentialBuckets(1e2, 10, 5)
	m.http = httpSeries{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Answered requests."}, append(labels, "status")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time from a request's head to the end of its answer.",
			Buckets: prometheus.DefBuckets}, labels),
		in:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_size_bytes", Help: "Size of request bodies.", Buckets: sizes}, labels),
		out: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_response_size_bytes", Help: "Size of response bodies.", Buckets: sizes}, labels),
	}
	active := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "http_active_connections", Help: "Open connections by state: new, active, idle."}, []string{"state"})
	for i, s := range []string{"new", "active", "idle"} {
		m.states[i] = active.WithLabelValues(s)
	}
	m.registry.MustRegister(m.http.requests, m.http.duration, m.http.in, m.http.out, active)
}

// Route is the series of one method on one route template, bound once.
type Route struct {
	m             *Metrics
	method, route string
	status        [500]atomic.Pointer[prometheus.Counter] // 100…599; a slot is bound when its status is first seen
	duration      prometheus.Observer
	in, out       prometheus.Observer
}

// Route binds the series of a method and a route template ("/v1/sales/{sale}/attempts"; never a path with ids in it). Call it
// when routes are laid, not for each request. Methods other than the common ones are counted as "OTHER".
func (m *Metrics) Route(method, template string) *Route {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "OTHER"
	}
	return &Route{m: m, method: method, route: template,
		duration: m.http.duration.WithLabelValues(method, template),
		in:       m.http.in.WithLabelValues(method, template),
		out:      m.http.out.WithLabelValues(method, template),
	}
}

// Done records one answered request; in and out are body sizes in bytes.
func (r *Route) Done(status int, took time.Duration, in, out int64) {
	if status < 100 || status > 599 {
		status = 500
	}
	c := r.status[status-100].Load()
	if c == nil {
		bound := r.m.http.requests.WithLabelValues(r.method, r.route, strconv.Itoa(status))
		c = &bound
		r.status[status-100].Store(c)
	}
	(*c).Inc()
	r.duration.Observe(took.Seconds())
	r.in.Observe(float64(in))
	r.out.Observe(float64(out))
}

// Listener returns l such that its connections are counted by state when the server's ConnState is [Metrics.ConnState].
func (m *Metrics) Listener(l net.Listener) net.Listener { return listener{l, m} }

type listener struct {
	net.Listener
	m *Metrics
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &conn{Conn: c}
	counted.state.Store(-1)
	return counted, nil
}

type conn struct {
	net.Conn
	state atomic.Int32 // index into Metrics.states, -1 for none
}

// ConnState is for http.Server. It counts connections accepted by a [Metrics.Listener] and leaves others alone.
func (m *Metrics) ConnState(c net.Conn, s http.ConnState) {
	counted, ok := c.(*conn)
	if !ok {
		return
	}
	next := int32(-1)
	switch s {
	case http.StateNew:
		next = 0
	case http.StateActive:
		next = 1
	case http.StateIdle:
		next = 2
	}
	if before := counted.state.Swap(next); before >= 0 {
		m.states[before].Dec()
	}
	if next >= 0 {
		m.states[next].Inc()
	}
}
