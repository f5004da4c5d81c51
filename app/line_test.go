package app_test

import (
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
)

// process starts a Penstock over an engine with the key ring in a file.
func process(t *testing.T, engine, keys string) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Stock, cfg.Limits.IP, cfg.Limits.Attempt, cfg.Keys.File = t.TempDir(), engine, config.Rate{}, config.Rate{}, keys
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err = a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &house{App: a, t: t}
	t.Cleanup(h.stop)
	h.operator = h.token("op", "operator")
	return h
}

func (h *house) lineSale(id string, stock int) {
	now := time.Now().UTC()
	h.want(201, "admin", h.operator, "POST", "/admin/v1/sales", "", map[string]any{
		"id": id, "title": "T", "startsAt": now.Add(-time.Hour), "endsAt": now.Add(time.Hour), "admission": "line", "line": map[string]any{"reach": 3},
		"items": []map[string]any{{"sku": "tea", "title": "Tea", "price": 990, "currency": "CNY", "stock": stock, "limitPerUser": 5}},
	})
}

// admitted joins and follows the entry to its pass.
func (h *house) admitted(sale, user string) (pass string) {
	h.t.Helper()
	entry := h.want(201, "public", h.token(user, ""), "POST", "/v1/sales/"+sale+"/line", "", map[string]any{})["entry"].(string)
	h.until("the pass of "+user, func() bool {
		pass, _ = h.want(200, "public", h.token(user, ""), "GET", "/v1/sales/"+sale+"/line/"+entry, "", nil)["pass"].(string)
		return pass != ""
	})
	return pass
}

// A sale with a line refuses attempts without a pass and says where to join; the pass wins; it is good for one key, whatever the
// process it is shown to, and that key's answer is replayed with it or with the token; the line closes when it is long enough.
func TestLine(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		h := process(t, "sqlite:", "")
		testLine(t, h, h)
	})
	t.Run("two processes on MariaDB", func(t *testing.T) {
		t.Parallel()
		url, keys := engines.MariaDB(t).Database(t), filepath.Join(t.TempDir(), "keys.json")
		a := process(t, url, keys)
		testLine(t, a, process(t, url, keys))
	})
}

// settled makes an attempt until its outcome is known.
func (h *house) settled(bearer, path, key string, body map[string]any) (status int, out map[string]any) {
	h.until("the answer to "+key, func() bool {
		status, out = h.call("public", bearer, "POST", path, key, body)
		return status != 202 && status != 503
	})
	return status, out
}

func testLine(t *testing.T, a, b *house) {
	a.lineSale("l", 2)
	const path = "/v1/sales/l/attempts"
	body := map[string]any{"sku": "tea", "quantity": 1}
	ann := a.token("ann", "")
	b.until("the sale being known elsewhere", func() bool { status, _ := b.call("public", "", "GET", "/v1/sales/l", "", nil); return status == 200 })
	if out := a.want(403, "public", ann, "POST", path, "k", body); out["type"] != "/problems/pass-required" || out["join"] != "/v1/sales/l/line" {
		t.Errorf("without a pass: %v", out)
	}
	pass := a.admitted("l", "ann")
	// Many keys under one pass, at both processes at once: one wins, the others are told that the pass was used.
	var mu sync.Mutex
	var wg sync.WaitGroup
	var won string
	told := map[int]int{}
	for i, key := range []string{"k1", "k2", "k3", "k4", "k5", "k6"} {
		wg.Go(func() {
			status, out := []*house{a, b}[i%2].settled(pass, path, key, body)
			mu.Lock()
			defer mu.Unlock()
			if told[status]++; status == 201 {
				won = key
			} else if out["type"] != "/problems/pass-used" {
				t.Errorf("%s: %d %v", key, status, out)
			}
		})
	}
	wg.Wait()
	if told[201] != 1 || told[409] != 5 {
		t.Fatalf("six keys under one pass: %v", told)
	}
	first := a.want(201, "public", pass, "POST", path, won, body)["order"]
	if again := b.want(201, "public", ann, "POST", path, won, body)["order"]; again != first {
		t.Errorf("a replay at the other process, without the pass, names order %v, not %v", again, first)
	}
	if out := a.want(403, "public", ann, "POST", path, "other", body); out["type"] != "/problems/pass-required" {
		t.Errorf("another key without a pass: %v", out)
	}
	b.want(201, "public", b.admitted("l", "bob"), "POST", path, "kb", body)
	closed := func() bool {
		status, out := b.call("public", b.token("eve", ""), "POST", "/v1/sales/l/line", "", map[string]any{})
		return status == 409 && out["type"] == "/problems/line-closed"
	}
	standing := func(at *house) map[string]any {
		return at.want(200, "admin", at.operator, "GET", "/admin/v1/sales/l/line", "", nil)["items"].([]any)[0].(map[string]any)
	}
	b.until("both passes being known as used", func() bool { return standing(b)["used"] == float64(2) })
	for i := range 6 { // two held units and a reach of three: six may stand in line
		b.want(201, "public", b.token("u"+string(rune('0'+i)), ""), "POST", "/v1/sales/l/line", "", map[string]any{})
	}
	if !closed() {
		t.Error("a line that the stock does not reach took a seventh")
	}
	a.want(404, "public", a.token("eve", ""), "GET", "/v1/sales/l/line/1-1", "", nil)
	a.until("operators seeing it at the other process", func() bool {
		out := standing(a)
		return out["open"] == false && out["waiting"] == float64(6) && out["used"] == float64(2)
	})
	a.check()
}

// A pass wins nothing once its user has left the line: else whoever joins and leaves again would gather passes.
func TestAPassIsOfNoUseAfterLeaving(t *testing.T) {
	t.Parallel()
	h := process(t, "sqlite:", "")
	h.lineSale("l", 3)
	ann := h.token("ann", "")
	entry := h.want(201, "public", ann, "POST", "/v1/sales/l/line", "", map[string]any{})["entry"].(string)
	var pass string
	h.until("the pass", func() bool {
		pass, _ = h.want(200, "public", ann, "GET", "/v1/sales/l/line/"+entry, "", nil)["pass"].(string)
		return pass != ""
	})
	h.want(200, "public", ann, "DELETE", "/v1/sales/l/line/"+entry, "", nil)
	if status, out := h.settled(pass, "/v1/sales/l/attempts", "k", map[string]any{"sku": "tea", "quantity": 1}); status != 403 || out["type"] != "/problems/pass-required" {
		t.Errorf("with the pass of the entry that was left: %d %v", status, out)
	}
	again := h.admitted("l", "ann")
	if status, out := h.settled(again, "/v1/sales/l/attempts", "k2", map[string]any{"sku": "tea", "quantity": 1}); status != 201 {
		t.Errorf("with the next: %d %v", status, out)
	}
}
