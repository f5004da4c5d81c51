package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"penstock/config"
)

// inbox is somebody else's system; it counts events by type and answers with its status.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	types  map[string]int
}

func newInbox(t *testing.T) *inbox {
	in := &inbox{status: http.StatusNoContent, types: map[string]int{}}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct{ Type string }
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		if err == nil && in.status < 300 {
			in.types[e.Type]++
		}
		w.WriteHeader(in.status)
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) seen() map[string]int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.types)
}

func (h *house) metrics() string {
	h.t.Helper()
	res, err := http.Get("http://" + h.Addrs()["probe"] + "/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// On the embedded engines what a buyer does with his money and an operator with the order reaches an endpoint that was created
// after the first sale, and nothing of the time before. All outboxes show that nothing is left. An unknown type is refused with the
// legal ones; an endpoint that answers 410 is in the list of disabled ones, in the trail and in the metrics.
func TestWhatRoomsPublishReachesAnEndpoint(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Webhooks.AllowInsecure, c.Webhooks.AllowPrivate = true, true })
	h.createSale("s", 3)
	h.buy("s", "early")
	in := newInbox(t)
	create := func(events ...string) (int, map[string]any) {
		return h.call("admin", h.operator, "POST", "/admin/v1/webhooks", "", map[string]any{"url": in.URL, "events": events})
	}
	status, out := create("order.payed")
	if text := fmt.Sprint(out); status != http.StatusBadRequest || !strings.Contains(text, "order.cancelled, order.expired, order.fulfilled, order.paid, order.refund_completed, order.refunded, payment.captured") {
		t.Errorf("an unknown type: %d %s", status, text)
	}
	status, endpoint := create("*")
	if status != http.StatusCreated || endpoint["health"] != "working" {
		t.Fatalf("create: %d %v", status, endpoint)
	}
	ann := h.token("ann", "")
	_, out = h.buy("s", "ann")
	order, _ := out["order"].(string)
	for path, body := range map[string]any{"payments": map[string]any{"method": "sandbox"}} {
		if status, out := h.call("public", ann, "POST", "/v1/orders/"+order+"/"+path, "k", body); status >= 300 {
			t.Fatalf("%s: %d %v", path, status, out)
		}
	}
	h.until("it is paid", func() bool {
		_, out := h.call("public", ann, "GET", "/v1/orders/"+order, "", nil)
		return out["state"] == "paid"
	})
	if status, out := h.call("admin", h.operator, "POST", "/admin/v1/orders/"+order+"/fulfilment", "f", map[string]any{"reason": "sent"}); status >= 300 {
		t.Fatalf("fulfil: %d %v", status, out)
	}
	if status, out := h.call("public", ann, "POST", "/v1/orders/"+order+"/refunds", "r", map[string]any{"reason": "torn"}); status >= 300 {
		t.Fatalf("refund: %d %v", status, out)
	}
	want := map[string]int{"stock.held": 1, "payment.captured": 1, "stock.sold": 1, "order.paid": 1, "order.fulfilled": 1, "payment.refunded": 1, "order.refunded": 1, "order.refund_completed": 1}
	h.until("all events arrive", func() bool { return maps.Equal(in.seen(), want) })
	h.until("no outbox has anything left", func() bool { return h.outboxes() == 0 })
	h.check()

	in.mu.Lock()
	in.status = http.StatusGone
	in.mu.Unlock()
	h.buy("s", "bob")
	h.until("it is disabled", func() bool {
		_, page := h.call("admin", h.operator, "GET", "/admin/v1/webhooks?health=disabled", "", nil)
		items, _ := page["items"].([]any)
		return len(items) == 1
	})
	_, trail := h.call("admin", h.operator, "GET", "/admin/v1/audit", "", nil)
	if !containsAct(trail, "webhook.disabled") {
		t.Errorf("the trail does not tell of it: %v", trail)
	}
	h.until("the metrics tell", func() bool {
		text := h.metrics()
		return strings.Contains(text, `penstock_webhook_endpoints{health="disabled"} 1`) && strings.Contains(text, `penstock_outbox_waiting{source="payments/payments"} 0`) &&
			strings.Contains(text, `penstock_outbox_oldest_seconds{source="orders_7/orders"} 0`)
	})
	if got := in.seen(); !maps.Equal(got, want) {
		t.Errorf("after all it got %v", got)
	}
}

// outboxes adds up what waits in the ten outboxes.
func (h *house) outboxes() (waiting float64) {
	h.t.Helper()
	_, out := h.call("admin", h.operator, "GET", "/admin/v1/drained", "", nil)
	all, _ := out["outboxes"].([]any)
	if len(all) != 10 {
		h.t.Fatalf("outboxes: %v", out)
	}
	for _, o := range all {
		n, _ := o.(map[string]any)["waiting"].(float64)
		waiting += n
	}
	return waiting
}
