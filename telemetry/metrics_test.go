package telemetry

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantSeries(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, "{")
			var have []string
			for s := range strings.SplitSeq(text, "\n") {
				if strings.HasPrefix(s, name) {
					have = append(have, s)
				}
			}
			t.Errorf("no %q among %q", l, have)
		}
	}
}

// Every series that the specification names exists under that name, with those labels, and counts what it says.
func TestNamedSeries(t *testing.T) {
	t.Parallel()
	m := NewMetrics(MetricsOptions{Version: "v1", Commit: "c"})
	r := m.Route("POST", "/v1/sales/{sale}/attempts")
	r.Done(201, 7*time.Millisecond, 60, 123)
	r.Done(201, 20*time.Second, 60, 123)
	r.Done(409, time.Millisecond, 60, 5e6)
	m.Orders("web", "sandbox", "EUR").Created(4200)
	m.Payment("sandbox", true)
	m.External("payment:sandbox").Called(30*time.Millisecond, nil)
	m.External("payment:sandbox").Called(time.Second, errors.New("refused"))
	m.Stock(func() []StockCount { return []StockCount{{"s1", "sku1", 7}} })
	m.Attempt(ResultWon, true)
	m.Attempt(string(errs.SoldOut), false)
	m.Attempt("nonsense-42", false)
	m.Batch(100, 3*time.Millisecond)
	m.BusLag("orders", 12)
	m.OrdersWritten(100)
	wantSeries(t, scrape(t, m),
		`http_requests_total{method="POST",route="/v1/sales/{sale}/attempts",status="201"} 2`,
		`http_requests_total{method="POST",route="/v1/sales/{sale}/attempts",status="409"} 1`,
		`http_request_duration_seconds_bucket{method="POST",route="/v1/sales/{sale}/attempts",le="0.005"} 1`,
		`http_request_duration_seconds_bucket{method="POST",route="/v1/sales/{sale}/attempts",le="10"} 2`,
		`http_request_duration_seconds_count{method="POST",route="/v1/sales/{sale}/attempts"} 3`,
		`http_request_size_bytes_bucket{method="POST",route="/v1/sales/{sale}/attempts",le="100"} 3`,
		`http_response_size_bytes_bucket{method="POST",route="/v1/sales/{sale}/attempts",le="1e+06"} 2`,
		`order_created_total{channel="web",payment_method="sandbox"} 1`,
		`order_amount_cents_sum{currency="EUR"} 4200`,
		`payment_success_rate{payment_method="sandbox"} 1`,
		`external_service_call_duration_seconds_count{result="error",service="payment:sandbox"} 1`,
		`inventory_stock_count{sku_id="sku1",warehouse="s1"} 7`,
		`penstock_attempts_total{result="won"} 1`, `penstock_attempts_total{result="sold-out"} 1`, `penstock_attempts_total{result="other"} 1`,
		`penstock_attempts_total{result="limit-reached"} 0`, `penstock_attempt_replays_total 1`,
		`penstock_batch_size_sum 100`, `penstock_commit_duration_seconds_count 1`, `penstock_bus_lag{group="orders"} 12`,
		`penstock_order_writer_rows_total 100`, `penstock_build_info{commit="c",version="v1"} 1`, `http_active_connections{state="active"} 0`)
}

// The number of series does not grow with what buyers send, and no text breaks a scrape.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics(MetricsOptions{})
	m.Route("BREW", "/x").Done(9999, 0, 0, 0)
	m.Stock(func() []StockCount {
		all := make([]StockCount, 3*maxStockSeries)
		for i := range all {
			all[i] = StockCount{Sale: "s\xff", SKU: fmt.Sprint(i), Available: 1}
		}
		return all
	})
	for i := range 500 {
		m.Attempt(fmt.Sprintf("result-%d", i), false)
		m.Payment(fmt.Sprintf("way-\xff-%d", i), true)
	}
	text := scrape(t, m)
	wantSeries(t, text, `http_requests_total{method="OTHER",route="/x",status="500"} 1`, `inventory_stock_count{sku_id="other",warehouse="other"} 2000`,
		`penstock_payments_total{payment_method="other",result="captured"} 468`)
	if n := strings.Count(text, "\n"); n > maxStockSeries+400 {
		t.Errorf("%d lines", n)
	}
}

// The success rate speaks of the last five minutes, and is absent rather than wrong when nothing happened in them.
func TestPaymentRateForgets(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))
	m := NewMetrics(MetricsOptions{Clock: c})
	for range 3 {
		m.Payment("sandbox", false)
	}
	c.Advance(4 * time.Minute)
	m.Payment("sandbox", true)
	wantSeries(t, scrape(t, m), `payment_success_rate{payment_method="sandbox"} 0.25`)
	c.Advance(time.Minute)
	wantSeries(t, scrape(t, m), `payment_success_rate{payment_method="sandbox"} 1`)
	c.Advance(10 * time.Minute)
	if text := scrape(t, m); strings.Contains(text, "payment_success_rate{") {
		t.Error("a rate of nothing is shown")
	}
}

// Connections are counted in the state they are in, and leave no count behind when they close.
func TestActiveConnections(t *testing.T) {
	t.Parallel()
	m := NewMetrics(MetricsOptions{})
	inside, release := make(chan struct{}), make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(inside); <-release }))
	srv.Listener = m.Listener(srv.Listener)
	srv.Config.ConnState = m.ConnState
	srv.Start()
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	wantSeries(t, scrape(t, m), `http_active_connections{state="active"} 1`, `http_active_connections{state="idle"} 0`)
	close(release)
	eventually(t, func() bool { return strings.Contains(scrape(t, m), `http_active_connections{state="idle"} 1`) })
	c.Close()
	eventually(t, func() bool {
		s := scrape(t, m)
		return strings.Contains(s, `{state="idle"} 0`) && strings.Contains(s, `{state="active"} 0`) && strings.Contains(s, `{state="new"} 0`)
	})
}

// eventually polls a condition that another goroutine brings about.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("the condition never came true")
		case <-tick.C:
		}
	}
}

// Two instances share nothing.
func TestInstancesAreApart(t *testing.T) {
	t.Parallel()
	a, b := NewMetrics(MetricsOptions{}), NewMetrics(MetricsOptions{})
	a.OrdersWritten(5)
	wantSeries(t, scrape(t, b), `penstock_order_writer_rows_total 0`)
}

// What the attempt path calls allocates nothing once a status has been seen.
func TestHotPathDoesNotAllocate(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	r := m.Route("POST", "/v1/sales/{sale}/attempts")
	tr, err := NewTracing(TracingOptions{Export: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Stop(t.Context())
	var buf [traceparentLen]byte
	refusal := string(errs.SoldOut)
	if n := testing.AllocsPerRun(100, func() {
		s := Served("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
		_ = s.AppendTraceparent(buf[:0])
		m.Attempt(refusal, false)
		r.Done(409, time.Millisecond, 60, 120)
		tr.End(s, Recorded{Name: "attempt"})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
