package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/config"
)

// What explain says to a call is what happens to it: the same stage's answer, or a handler that is reached.
func TestExplainSaysWhatHappens(t *testing.T) {
	t.Parallel()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(behind.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, []byte(`
limits: []
upstreams: {shop: {targets: ["`+behind.URL+`"]}}
routes:
  - {match: GET /ext/mine, upstream: shop}
  - {match: GET /ext/passing, upstream: shop, credentials: pass}
  - {match: GET /ext/all, access: anyone, upstream: shop}
  - {match: GET /ext/ops, access: operator, upstream: shop}
rules: [{match: [GET /v1/balance], addresses: {deny: [127.0.0.0/8]}}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, filepath.Join(dir, "data"), func(c *config.Config) { c.Gateway.File = file })
	h.createSale("s", 1)
	callers := map[string]string{"nobody": "", "ann": h.token("ann", ""), "operator": h.operator, "junk": "junk"}
	status, out := h.call("public", callers["ann"], "POST", "/v1/sales/s/pass", "", nil)
	if callers["pass"], _ = out["pass"].(string); callers["pass"] == "" {
		t.Fatalf("%d %v", status, out)
	}
	for _, call := range []string{
		"GET /v1/sales", "DELETE /v1/sales", "PATCH /v1/orders", "GET /v1/orders", "GET /v1/balance", "GET /nowhere", "GET /v1//sales",
		"GET /ext/mine", "GET /ext/passing", "GET /ext/all", "GET /ext/ops", "POST /ext/all",
	} {
		method, path, _ := strings.Cut(call, " ")
		for name, token := range callers {
			question := map[string]string{"method": method, "path": path}
			if token != "" {
				question["token"] = token
			}
			_, x := h.call("admin", h.operator, "POST", "/admin/v1/gateway/explain", "", question)
			status, out := h.call("public", token, method, path, "", nil)
			problem, _ := out["type"].(string)
			want := fmt.Sprintf("with %d %s: ", status, strings.TrimPrefix(problem, "/problems/"))
			if said, _ := x["summary"].(string); status < 300 && x["verdict"] != "pass" || status >= 300 && !strings.Contains(said, want) {
				t.Errorf("%s by %s: %d %v, and explain says %v", call, name, status, out, x["summary"])
			}
		}
	}
}
