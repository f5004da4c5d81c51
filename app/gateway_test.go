package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
)

// The example policy of the page is good for the routes that there are.
func TestExamplePolicyKnowsItsRoutes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	if err := app.PolicyRooms(config.Default()).Check([]byte(text)); err != nil || text == "" {
		t.Error(err)
	}
}

// A running server follows its policy file: a change is in force within a second or two, a bad file changes nothing and is told,
// an operator may reload and ask, and the audit trail knows who reloaded.
func TestServerFollowsItsPolicy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("limits: []\n")
	h := start(t, filepath.Join(dir, "data"), func(c *config.Config) { c.Gateway.File = file })
	user := h.token("ann", "")
	if status, out := h.call("public", user, "GET", "/v1/orders", "", nil); status != http.StatusOK {
		t.Fatalf("%d %v", status, out)
	}
	write("limits: []\nrules: [{match: [GET /v1/orders], addresses: {deny: [127.0.0.0/8]}}]\n")
	for end := time.Now().Add(60 * time.Second); ; {
		if status, _ := h.call("public", user, "GET", "/v1/orders", "", nil); status == http.StatusForbidden {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the change is not in force")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if status, out := h.call("public", user, "GET", "/v1/balance", "", nil); status != http.StatusOK {
		t.Errorf("another route is denied too: %d %v", status, out)
	}
	status, out := h.call("admin", h.operator, "POST", "/admin/v1/gateway/explain", "", map[string]string{"method": "GET", "path": "/v1/orders", "token": user})
	if summary, _ := out["summary"].(string); status != http.StatusOK || !strings.Contains(summary, "refused by the stage lists with 403 forbidden") {
		t.Errorf("%d %v", status, out)
	}
	write("rules:\n  - match: [GET /v1/ordres]\n")
	if status, out = h.call("admin", h.operator, "POST", "/admin/v1/gateway/reload", "", map[string]string{"reason": "new lists"}); status != http.StatusBadRequest || !strings.Contains(out["detail"].(string), "line 2: rules[0].match[0]") {
		t.Errorf("%d %v", status, out)
	}
	if status, out = h.call("admin", h.operator, "GET", "/admin/v1/gateway", "", nil); out["version"] != 2.0 || !strings.Contains(out["lastError"].(string), "did you mean GET /v1/orders?") {
		t.Errorf("%d %v", status, out)
	}
	write("{}\n")
	if err := h.ReloadGateway(); err != nil {
		t.Error(err)
	}
	if status, out := h.call("public", user, "GET", "/v1/orders", "", nil); status != http.StatusOK {
		t.Errorf("%d %v", status, out)
	}
	if status, out := h.call("admin", h.operator, "GET", "/admin/v1/audit", "", nil); status != http.StatusOK || !strings.Contains(fmt.Sprint(out), "gateway.reload") {
		t.Errorf("%d %v", status, out)
	}
}

// A server does not start on a bad policy.
func TestBadPolicyKeepsTheServerFromStarting(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.Listen = t.TempDir(), config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.Gateway.File = filepath.Join(cfg.Data, "gateway.yaml")
	if err := os.WriteFile(cfg.Gateway.File, []byte("limits: much"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), `line 1: limits: "much" must be a list`) {
		t.Errorf("%v", err)
	}
}
