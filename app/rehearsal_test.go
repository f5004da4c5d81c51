package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"penstock/config"
)

// Other systems ship what webhooks tell them was sold: of a rehearsal they hear nothing, neither of its holds and orders nor of its
// payments.
func TestRehearsalsTellNobody(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct{ Type, PartitionKey string }
		_ = json.NewDecoder(r.Body).Decode(&e)
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e.Type+" "+e.PartitionKey)
	}))
	defer receiver.Close()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Webhooks.AllowInsecure, c.Webhooks.AllowPrivate = true, true })
	if status, out := h.call("admin", h.operator, "POST", "/admin/v1/webhooks", "", map[string]any{"url": receiver.URL, "events": []string{"*"}}); status != http.StatusCreated {
		t.Fatalf("create: %d %v", status, out)
	}
	h.createSale("s", 5)
	plan := map[string]any{"rate": 20, "seconds": 1, "reason": "tonight", "maxP99Ms": 10000, "seed": 7, "whileOpen": true}
	status, made := h.call("admin", h.operator, "POST", "/admin/v1/sales/s/rehearsals", "", plan)
	if status != http.StatusAccepted {
		t.Fatalf("rehearse: %d %v", status, made)
	}
	id, _ := made["id"].(string)
	h.live("rehearsal:"+id)("the end", func(_ string, now map[string]any) bool { return now["state"] == "done" || now["state"] == "failed" })
	if status, out := h.buy("s", "ann"); status != http.StatusCreated {
		t.Fatalf("buy: %d %v", status, out)
	}
	h.until("the hold of a buyer arrives", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) > 0 && strings.HasSuffix(told[len(told)-1], " ann")
	})
	mu.Lock()
	defer mu.Unlock()
	for _, e := range told {
		if !strings.HasSuffix(e, " ann") {
			t.Errorf("told %q", e)
		}
	}
}
