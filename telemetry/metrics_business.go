package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/internal/clock"
)

func (m *Metrics) registerBusiness(c clock.Clock) {
	m.orders = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "order_created_total", Help: "Orders that came to be, by channel and the method they will be paid by (\"none\" while open)."}, []string{"channel", "payment_method"})
	m.amounts = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "order_amount_cents", Help: "Amounts of new orders, in minor units of the currency.",
		Buckets: prometheus.ExponentialBuckets(100, 10, 6)}, []string{"currency"})
	m.external = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "external_service_call_duration_seconds", Help: "Calls to services outside, by service and result (ok, error).",
		Buckets: prometheus.DefBuckets}, []string{"service", "result"})
	m.payments = newPayments(c)
	m.money = newMoney(m.registry)
	m.registry.MustRegister(m.orders, m.amounts, m.external, m.payments, m.payments.total)
}

// Orders is bound to a channel, a payment method and a currency.
type Orders struct {
	created prometheus.Counter
	amount  prometheus.Observer
}

// Orders binds the series of new orders. All three come from the configuration or a sale, never from a buyer.
func (m *Metrics) Orders(channel, method, currency string) Orders {
	return Orders{m.orders.WithLabelValues(label(channel), label(method)), m.amounts.WithLabelValues(label(currency))}
}

// Created counts one new order; amount is in minor units.
func (o Orders) Created(amount int64) {
	o.created.Inc()
	o.amount.Observe(float64(amount))
}

// External is bound to one outside service.
type External struct{ ok, failed prometheus.Observer }

// External binds the series of calls to a service ("payment:sandbox").
func (m *Metrics) External(service string) External {
	return External{m.external.WithLabelValues(service, "ok"), m.external.WithLabelValues(service, "error")}
}

// Called records one call.
func (e External) Called(took time.Duration, err error) {
	if err != nil {
		e.failed.Observe(took.Seconds())
		return
	}
	e.ok.Observe(took.Seconds())
}

// Payment counts the end of one payment.
func (m *Metrics) Payment(method string, captured bool) { m.payments.count(method, captured) }

// payments keeps the success rate of the last five minutes, in buckets of one. Without an outcome in that time a method has
// no rate, rather than a zero or a one that means nothing.
type payments struct {
	clock clock.Clock
	total *prometheus.CounterVec
	rate  *prometheus.Desc
	mu    sync.Mutex
	byWay map[string]*[rateMinutes]outcomes
}

const (
	rateMinutes = 5
	maxMethods  = 32 // payment methods with series of their own; further ones count as "other"
)

// label makes any text fit for a label value.
func label(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.ToValidUTF8(s, "?")
}

type outcomes struct{ minute, captured, all int64 }

func newPayments(c clock.Clock) *payments {
	return &payments{clock: c, byWay: map[string]*[rateMinutes]outcomes{},
		rate:  prometheus.NewDesc("payment_success_rate", "Share of payments that were captured, of those that ended in the last five minutes.", []string{"payment_method"}, nil),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "penstock_payments_total", Help: "Payments that ended, by method and result (captured, failed)."}, []string{"payment_method", "result"}),
	}
}

func (p *payments) count(method string, captured bool) {
	result := "failed"
	if captured {
		result = "captured"
	}
	minute := p.clock.Now().Unix() / 60
	method = label(method)
	p.mu.Lock()
	defer p.mu.Unlock()
	ring := p.byWay[method]
	if ring == nil && len(p.byWay) >= maxMethods {
		method = "other"
		ring = p.byWay[method]
	}
	p.total.WithLabelValues(method, result).Inc()
	if ring == nil {
		ring = new([rateMinutes]outcomes)
		p.byWay[method] = ring
	}
	o := &ring[minute%rateMinutes]
	if o.minute != minute {
		*o = outcomes{minute: minute}
	}
	o.all++
	if captured {
		o.captured++
	}
}

// Describe implements prometheus.Collector.
func (p *payments) Describe(ch chan<- *prometheus.Desc) { ch <- p.rate }

// Collect implements prometheus.Collector.
func (p *payments) Collect(ch chan<- prometheus.Metric) {
	minute := p.clock.Now().Unix() / 60
	p.mu.Lock()
	defer p.mu.Unlock()
	for method, ring := range p.byWay {
		var sum outcomes
		for _, o := range ring {
			if o.minute > minute-rateMinutes {
				sum.captured, sum.all = sum.captured+o.captured, sum.all+o.all
			}
		}
		if sum.all > 0 {
			ch <- prometheus.MustNewConstMetric(p.rate, prometheus.GaugeValue, float64(sum.captured)/float64(sum.all), method)
		}
	}
}

// StockCount is how many units of a SKU are available in a sale.
type StockCount struct {
	Sale, SKU string
	Available int64
}

// maxStockSeries bounds inventory_stock_count; what is beyond is added up under sku_id "other", so that the sum stays true.
const maxStockSeries = 1000

// Stock makes inventory_stock_count{sku_id,warehouse} read its values from f at each scrape, so that a closed sale leaves no
// series behind. A sale's allotment is a warehouse of its own: its id is the warehouse. f must be quick. Call it once.
func (m *Metrics) Stock(f func() []StockCount) {
	m.registry.MustRegister(stockLevels{f, prometheus.NewDesc("inventory_stock_count", "Units available, by SKU and sale.", []string{"sku_id", "warehouse"}, nil)})
}

type stockLevels struct {
	read func() []StockCount
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (s stockLevels) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect implements prometheus.Collector.
func (s stockLevels) Collect(ch chan<- prometheus.Metric) {
	all := s.read()
	var rest float64
	for i, c := range all {
		if i >= maxStockSeries {
			rest += float64(c.Available)
			continue
		}
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, float64(c.Available), label(c.SKU), label(c.Sale))
	}
	if len(all) > maxStockSeries {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, rest, "other", "other")
	}
}
