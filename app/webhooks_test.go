package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"penstock/config"
	"penstock/webhook/standard"
)

// A sale is told to another system: the hold of a buyer arrives there signed, as a CloudEvent, and the operator sees it delivered.
// With the rules as they are by default the same endpoint is refused, for it is inside.
func TestWebhookOfASale(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []map[string]any
	var verifier *standard.Verifier
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		var event map[string]any
		if err == nil {
			_, err = verifier.Verify(r.Header, body)
		}
		if err != nil || json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got = append(got, event)
	}))
	defer receiver.Close()
	definition := map[string]any{"url": receiver.URL, "events": []string{"stock.held"}}

	strict := start(t, t.TempDir())
	if status, out := strict.call("admin", strict.operator, "POST", "/admin/v1/webhooks", "", definition); status != http.StatusBadRequest {
		t.Fatalf("an endpoint inside: %d %v", status, out)
	}
	h := start(t, t.TempDir(), func(c *config.Config) { c.Webhooks.AllowInsecure, c.Webhooks.AllowPrivate = true, true })
	status, out := h.call("admin", h.operator, "POST", "/admin/v1/webhooks", "", definition)
	if status != http.StatusCreated {
		t.Fatalf("create: %d %v", status, out)
	}
	secret, err := standard.ParseSecret(out["secret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	verifier, err = standard.NewVerifier([]standard.Secret{secret}, standard.Options{})
	mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	h.createSale("s", 1)
	if status, out := h.buy("s", "ann"); status != http.StatusCreated {
		t.Fatalf("buy: %d %v", status, out)
	}
	h.until("the hold arrives", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 1 })
	mu.Lock()
	event := got[0]
	mu.Unlock()
	if event["type"] != "stock.held" || event["partitionkey"] != "ann" || event["data"].(map[string]any)["sale"] != "s" {
		t.Errorf("event %v", event)
	}
	h.until("it is settled", func() bool {
		_, page := h.call("admin", h.operator, "GET", "/admin/v1/webhooks/"+out["id"].(string)+"/deliveries?state=delivered", "", nil)
		items, _ := page["items"].([]any)
		return len(items) == 1
	})
	_, trail := h.call("admin", h.operator, "GET", "/admin/v1/audit", "", nil)
	if text, _ := json.Marshal(trail); !containsAct(trail, "webhook.create") {
		t.Errorf("the trail does not tell of it: %s", text)
	}
}

func containsAct(trail map[string]any, act string) bool {
	items, _ := trail["items"].([]any)
	for _, i := range items {
		if row, _ := i.(map[string]any); row["act"] == act {
			return true
		}
	}
	return false
}
