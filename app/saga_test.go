package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"penstock/config"
)

// elsewhere is a participant of another team: it notes its calls and answers with a status.
type elsewhere struct {
	mu     sync.Mutex
	calls  []string
	status map[string]int
}

func (e *elsewhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, r.URL.Path+" "+r.Header.Get("Webhook-Id"))
	status := e.status[strings.TrimPrefix(r.URL.Path, "/tcc/")]
	if err != nil || !json.Valid(body) || r.Header.Get("Webhook-Signature") == "" {
		status = http.StatusBadRequest
	}
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
}

func (e *elsewhere) set(op string, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = map[string]int{op: status}
}

// A transaction over stock, order and a service elsewhere has all its effects or none, a case shows its stake and is resolved
// with a row in the audit, and the records agree afterwards.
func TestTransactionAcrossServices(t *testing.T) {
	t.Parallel()
	there := &elsewhere{}
	server := httptest.NewServer(there)
	t.Cleanup(server.Close)
	h := start(t, t.TempDir(), func(c *config.Config) {
		c.Transactions.Participants = []config.Named{{Name: "shipping", URL: server.URL + "/tcc"}}
		c.Transactions.Tries = 2
	})
	h.createSale("flash", 3)
	begin := func(id, user string) map[string]any {
		t.Helper()
		status, out := h.call("admin", h.operator, "POST", "/admin/v1/transactions", "", map[string]any{"id": id, "branches": []map[string]any{
			{"name": "stock", "participant": "stock", "payload": map[string]any{"sale": "flash", "user": user, "items": []map[string]any{{"sku": "tea", "quantity": 1}}}},
			{"name": "order", "participant": "order", "payload": map[string]any{"sale": "flash", "user": user}},
			{"name": "parcel", "participant": "shipping", "payload": map[string]any{"to": user}, "stake": map[string]any{"amount": 500, "currency": "CNY"}},
		}})
		if status != http.StatusCreated {
			t.Fatalf("begin: %d %v", status, out)
		}
		return out
	}
	state := func(id, want string) map[string]any {
		t.Helper()
		var out map[string]any
		h.until(id+" being "+want, func() bool {
			_, out = h.call("admin", h.operator, "GET", "/admin/v1/transactions/"+id, "", nil)
			return out["state"] == want
		})
		return out
	}
	level := func(available, held, sold float64) {
		t.Helper()
		_, out := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale=flash", "", nil)
		l := out["items"].([]any)[0].(map[string]any)
		if l["available"] != available || l["held"] != held || l["sold"] != sold {
			t.Errorf("the stock is %v", l)
		}
	}
	there.set("try", http.StatusConflict)
	begin("refused", "ann")
	state("refused", "cancelled")
	level(3, 0, 0)
	_, orders := h.call("public", h.token("ann", ""), "GET", "/v1/orders", "", nil)
	if o := orders["items"].([]any); len(o) != 1 || o[0].(map[string]any)["state"] != "cancelled" {
		t.Errorf("ann's orders are %v", orders)
	}
	h.check()

	there.set("cancel", http.StatusBadGateway)
	there.mu.Lock()
	there.status["try"] = http.StatusConflict
	there.mu.Unlock()
	begin("stuck", "bob")
	if out := state("stuck", "needs_human"); out["atStake"].(map[string]any)["unsure"].(map[string]any)["money"].(map[string]any)["CNY"] != 500.0 {
		t.Errorf("at stake is %v", out["atStake"])
	}
	there.set("", 0)
	if status, out := h.call("admin", h.operator, "POST", "/admin/v1/transactions/stuck/resolve", "", map[string]any{"action": "retry", "reason": "it is back"}); status != http.StatusOK {
		t.Errorf("resolve: %d %v", status, out)
	}
	state("stuck", "cancelled")
	level(3, 0, 0)
	h.check()
	_, trail := h.call("admin", h.operator, "GET", "/admin/v1/audit?limit=200", "", nil)
	if text, _ := json.Marshal(trail); !strings.Contains(string(text), `"transaction.retry"`) || !strings.Contains(string(text), "it is back") {
		t.Errorf("the trail does not tell of the decision: %s", text)
	}

	begin("bought", "cat")
	state("bought", "confirmed")
	level(2, 0, 1)
	_, orders = h.call("public", h.token("cat", ""), "GET", "/v1/orders", "", nil)
	if o := orders["items"].([]any); len(o) != 1 || o[0].(map[string]any)["state"] != "paid" {
		t.Errorf("cat's orders are %v", orders)
	}
	there.mu.Lock()
	defer there.mu.Unlock()
	if calls := strings.Join(there.calls, ", "); !strings.Contains(calls, "/tcc/try bought_parcel_try") || !strings.Contains(calls, "/tcc/confirm bought_parcel_confirm") {
		t.Errorf("the service was called %s", calls)
	}
}
