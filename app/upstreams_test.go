package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/config"
)

func policyFile(t *testing.T, text string) func(*config.Config) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *config.Config) { c.Gateway.File = file }
}

// A running server forwards by its policy: the caller is known to the upstream, its death is told as what it is, its own calls stay
// its own, and the metrics say what happened.
func TestServerForwards(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path, "user": r.Header.Get("X-User"), "body": string(body), "token": r.Header.Get("Authorization")})
	}))
	defer up.Close()
	h := start(t, filepath.Join(t.TempDir(), "data"), policyFile(t, `
limits: []
upstreams: {shop: {targets: ["`+up.URL+`"]}}
routes: [{match: "/ext/{rest...}", upstream: shop, path: "/in/{rest}"}, {match: "/v1/{rest...}", upstream: shop}]
`))
	ann := h.token("ann", "")
	if status, out := h.call("public", ann, "POST", "/ext/a", "", map[string]int{"n": 1}); status != 200 || out["path"] != "/in/a" || out["user"] != "ann" || out["body"] != `{"n":1}` || out["token"] != "" {
		t.Errorf("%d %v", status, out)
	}
	if status, out := h.call("public", "bad", "POST", "/ext/a", "", nil); status != http.StatusUnauthorized {
		t.Errorf("%d %v", status, out)
	}
	if status, out := h.call("public", ann, "GET", "/v1/orders", "", nil); status != 200 || out["path"] != nil {
		t.Errorf("a call of our own: %d %v", status, out)
	}
	up.CloseClientConnections()
	up.Close()
	status, out := h.call("public", ann, "POST", "/ext/a", "", nil)
	if status != http.StatusServiceUnavailable || out["type"] != "/problems/upstream-unavailable" || out["executed"] != false {
		t.Errorf("%d %v", status, out)
	}
	resp, err := http.Get("http://" + h.Addrs()["probe"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`penstock_upstream_events_total{event="answered",upstream="shop"} 1`, `penstock_upstream_process_up{target="` + up.URL + `",upstream="shop"} 1`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s", want)
		}
	}
}

// A process of role gateway has no room and no database: in front of a whole Penstock it sends buyers' calls to it, attempts and their
// replays included.
func TestGatewayInFront(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	behind := start(t, filepath.Join(dir, "behind"))
	front := start(t, filepath.Join(dir, "front"), func(c *config.Config) {
		c.Target, c.Keys.File = []string{config.RoleGateway}, filepath.Join(dir, "behind", "keys.json")
	}, policyFile(t, fmt.Sprintf(`
limits: []
upstreams: {shop: {targets: ["http://%s"], health: {path: /openapi.json}}}
routes:
  - {match: "GET /v1/sales/{sale}", access: anyone, upstream: shop, credentials: pass}
  - {match: "/v1/sales/{rest...}", upstream: shop, credentials: pass, retries: {times: 1, keyed: true}}
  - {match: "GET /v1/orders", upstream: shop, credentials: pass}
`, behind.Addrs()["public"])))
	behind.createSale("s1", 5)
	ann := behind.token("ann", "")
	status, won := front.call("public", ann, "POST", "/v1/sales/s1/attempts", "k1", map[string]any{"sku": "tea", "quantity": 1})
	again, replay := front.call("public", ann, "POST", "/v1/sales/s1/attempts", "k1", map[string]any{"sku": "tea", "quantity": 1})
	if status != 201 || again != 201 || won["attempt"] == nil || won["attempt"] != replay["attempt"] {
		t.Errorf("%d %v, then %d %v", status, won, again, replay)
	}
	if status, out := front.call("public", ann, "GET", "/v1/balance", "", nil); status != http.StatusNotFound {
		t.Errorf("what is no route: %d %v", status, out)
	}
	for name := range front.Addrs() {
		if name != "public" && name != "probe" {
			t.Errorf("the front listens on %s", name)
		}
	}
}
