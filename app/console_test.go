package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// live opens a stream of topics and returns the present of the next event that satisfies ok.
func (h *house) live(topics ...string) (next func(what string, ok func(topic string, now map[string]any) bool)) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.Addrs()["admin"]+"/admin/v1/live?"+url.Values{"topic": topics}.Encode(), http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.operator)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("live: %v %v", res, err)
	}
	h.t.Cleanup(func() { _ = res.Body.Close() })
	events := make(chan string)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				select {
				case events <- data:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return func(what string, ok func(string, map[string]any) bool) {
		h.t.Helper()
		late := time.After(60 * time.Second)
		for {
			select {
			case data, open := <-events:
				var e struct {
					Topic string
					Now   map[string]any
				}
				if err := json.Unmarshal([]byte(data), &e); err != nil || !open {
					h.t.Fatalf("waiting for %s: %q %v", what, data, err)
				}
				if ok(e.Topic, e.Now) {
					return
				}
			case <-late:
				h.t.Fatalf("never told: %s", what)
			}
		}
	}
}

// The stream of a sale shows each unit where it is, what buyers are told, and that the invariants are watched; a sale that does
// not exist is refused.
func TestConsoleSeesTheSaleMove(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	h.createSale("s", 1)
	next := h.live("sale:s", "orders", "cases", "dead-letters", "limits", "breakers", "shed", "monitor", "line:s")
	stock := func(now map[string]any) map[string]any { return now["stock"].([]any)[0].(map[string]any) }
	next("all that is offered", func(topic string, now map[string]any) bool {
		return topic == "sale:s" && stock(now)["available"] == 1.0 && now["state"] == "open"
	})
	if status, out := h.buy("s", "ann"); status != http.StatusCreated {
		t.Fatalf("buy: %d %v", status, out)
	}
	next("the hold", func(topic string, now map[string]any) bool { return topic == "sale:s" && stock(now)["held"] == 1.0 })
	h.buy("s", "bob")
	next("the refusal", func(topic string, now map[string]any) bool {
		if topic != "sale:s" {
			return false
		}
		answers := now["answers"].(map[string]any)
		reasons := answers["reasons"].([]any)
		return answers["total"] == 2.0 && len(reasons) == 1 && reasons[0].(map[string]any)["reason"] == "stock-held" && answers["latencyMs"] != nil
	})
	next("the lamp", func(topic string, now map[string]any) bool {
		return topic == "sale:s" && now["lamp"].(map[string]any)["state"] == "ok"
	})
	if status, _ := h.call("admin", h.operator, "GET", "/admin/v1/live?topic=sale:nope", "", nil); status != http.StatusNotFound {
		t.Errorf("a sale that does not exist: %d", status)
	}
}

// A rehearsal storms a copy to a verdict and takes everything back; the sale itself is as it was, and buyers see no copy.
func TestRehearsalLeavesTheSaleAlone(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	body := func(id string, opens time.Duration) map[string]any {
		return map[string]any{
			"id": id, "title": "Night", "startsAt": time.Now().Add(opens).UTC(), "endsAt": time.Now().Add(opens + time.Hour).UTC(),
			"items": []map[string]any{{"sku": "tea", "title": "Tea", "price": 990, "currency": "CNY", "stock": 20, "limitPerUser": 1}},
		}
	}
	if status, out := h.call("admin", h.operator, "POST", "/admin/v1/sales", "", body("night", time.Hour)); status != http.StatusCreated {
		t.Fatalf("create: %d %v", status, out)
	}
	_, before := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale=night", "", nil)
	plan := map[string]any{"rate": 100, "seconds": 2, "reason": "tonight", "maxP99Ms": 10000, "seed": 7}
	status, made := h.call("admin", h.operator, "POST", "/admin/v1/sales/night/rehearsals", "", plan)
	if status != http.StatusAccepted {
		t.Fatalf("rehearse: %d %v", status, made)
	}
	if status, _ := h.call("admin", h.operator, "POST", "/admin/v1/sales/night/rehearsals", "", plan); status != http.StatusConflict {
		t.Errorf("two at a time: %d", status)
	}
	id, _ := made["id"].(string)
	var end map[string]any
	h.live("rehearsal:"+id)("the end", func(_ string, now map[string]any) bool {
		end = now
		return now["state"] == "done" || now["state"] == "failed"
	})
	if end["state"] != "done" || end["verdict"] != "go" || len(end["reasons"].([]any)) < 6 || end["paid"] == 0.0 {
		t.Errorf("the end: %v", end)
	}
	_, after := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale=night", "", nil)
	if a, b := encode(t, before), encode(t, after); a != b {
		t.Errorf("the sale itself has moved: %s, then %s", a, b)
	}
	_, shadow := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale="+end["shadow"].(string), "", nil)
	if row := shadow["items"].([]any)[0].(map[string]any); row["held"] != 0.0 || row["sold"] != 0.0 {
		t.Errorf("the copy keeps units: %v", row)
	}
	_, list := h.call("public", h.token("ann", ""), "GET", "/v1/sales", "", nil)
	if n := len(list["items"].([]any)); n != 1 {
		t.Errorf("buyers see %d sales", n)
	}
	h.createSale("open", 1)
	if status, _ := h.call("admin", h.operator, "POST", "/admin/v1/sales/night/rehearsals", "", plan); status != http.StatusConflict {
		t.Errorf("while another sale is open: %d", status)
	}
	h.check()
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
