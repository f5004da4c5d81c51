package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/config"
	"penstock/gateway/api"
	"penstock/internal/engines"
	"penstock/partner"
)

// example is one of the clients under examples/.
type example struct {
	name string
	argv []string
}

// clients builds the examples that can run here.
func clients(t *testing.T) []example {
	t.Helper()
	root, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "openapi-go")
	if out, err := exec.Command("go", "build", "-o", bin, filepath.Join(root, "openapi-go")).CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	all := []example{{"go", []string{bin}}}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Run("node", func(t *testing.T) { t.Skip("node is not installed: the example in Node was not run") })
		return all
	}
	return append(all, example{"node", []string{node, filepath.Join(root, "openapi-node", "openapi.mjs")}})
}

// run runs an example to its end and returns what it prints.
func (e example) run(t *testing.T, secret string, args ...string) (out string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), e.argv[0], append(e.argv[1:len(e.argv):len(e.argv)], args...)...)
	cmd.Env = append(os.Environ(), "OPENAPI_SECRET="+secret)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	return both.String(), err == nil
}

// newApp makes an app and returns its id and its secrets by use: id and text.
func (h *house) newApp(definition map[string]any) (id string, secrets map[string][2]string) {
	h.t.Helper()
	out := h.want(http.StatusCreated, "admin", h.operator, "POST", "/admin/v1/apps", "", definition)
	secrets = map[string][2]string{}
	for _, s := range out["secrets"].([]any) {
		s := s.(map[string]any)
		secrets[s["use"].(string)] = [2]string{s["id"].(string), s["secret"].(string)}
	}
	return out["id"].(string), secrets
}

// The published clients, in Go and in Node, agree with the published vectors and buy from a real server: by signatures and by
// OAuth2 tokens, as the app they are, and what they were not given is refused.
func TestOpenAPIExamples(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Limits.Attempt = config.Rate{} })
	h.createSale("s", 100)
	for _, e := range clients(t) {
		if out, ok := e.run(t, "", "--vectors", filepath.Join("..", "docs", "open-api-vectors.json")); !ok || !strings.HasPrefix(out, "ok ") {
			t.Errorf("%s: vectors: %s", e.name, out)
		}
		id, secrets := h.newApp(map[string]any{"name": e.name, "apis": []string{"orders.write", "orders.read"}})
		at, sign, oauth := "http://"+h.Addrs()["public"], secrets["signing"], secrets["oauth2"]
		signed, byToken := []string{"--url", at, "--key", sign[0]}, []string{"--url", at, "--id", id}
		attempt := []string{"POST", "/v1/sales/s/attempts", `{"sku":"tea","quantity":1}`}
		for _, c := range []struct {
			what, secret string
			args         []string
			ok           bool
			says         string
		}{
			{"buys by signature", sign[1], append(append(signed, "--idempotency-key", "k1"), attempt...), true, `"state":"won"`},
			{"asks again by signature", sign[1], append(append(signed, "--idempotency-key", "k1"), attempt...), true, `"state":"won"`},
			{"reads by token", oauth[1], append(byToken, "GET", "/v1/sales/s/attempts/k1"), true, `"state":"won"`},
			{"reads with a query", sign[1], append(signed, "GET", "/v1/orders?limit=5"), true, `"items"`},
			{"is at its limit", oauth[1], append(append(byToken, "--idempotency-key", "k2"), attempt...), false, "limit-reached"},
			{"was not given balances", sign[1], append(signed, "GET", "/v1/balance"), false, "forbidden"},
			{"does not get a stream", sign[1], append(signed, "GET", "/v1/events"), false, "forbidden"},
			{"signs with a wrong secret", sign[1] + "x", append(signed, "GET", "/v1/orders"), false, "bad-signature"},
			{"has a wrong client secret", sign[1], append(byToken, "GET", "/v1/orders"), false, "invalid_client"},
		} {
			if out, ok := e.run(t, c.secret, c.args...); ok != c.ok || !strings.Contains(out, c.says) {
				t.Errorf("%s %s: %v %s", e.name, c.what, ok, out)
			}
		}
	}
	h.check()
}

// A sandbox app buys and pays in a sandbox sale; another sale, and another way to pay, are refused.
func TestSandboxApp(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	h.createSale("sandbox-1", 10)
	h.createSale("real", 10)
	id, secrets := h.newApp(map[string]any{"name": "box", "sandbox": true, "apis": []string{"orders.write", "orders.read", "payments.write"}})
	token := h.grant(id, secrets["oauth2"][1])
	body := map[string]any{"sku": "tea", "quantity": 1}
	if status, out := h.call("public", token, "POST", "/v1/sales/real/attempts", "k", body); status != http.StatusForbidden {
		t.Errorf("a real sale: %d %v", status, out)
	}
	won := h.want(http.StatusCreated, "public", token, "POST", "/v1/sales/sandbox-1/attempts", "k", body)
	path := "/v1/orders/" + won["order"].(string) + "/payments"
	if status, out := h.call("public", token, "POST", path, "p1", map[string]any{"method": "balance"}); status != http.StatusForbidden {
		t.Errorf("real money: %d %v", status, out)
	}
	h.want(http.StatusCreated, "public", token, "POST", path, "p2", map[string]any{"method": "sandbox"})
}

// An app's quota is counted over its signatures and tokens, takes effect without a restart, and is told as every limit is.
func TestAppQuota(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	id, secrets := h.newApp(map[string]any{"name": "n", "apis": []string{"orders.read"}})
	token := h.grant(id, secrets["oauth2"][1])
	for range 5 {
		h.want(http.StatusOK, "public", token, "GET", "/v1/orders", "", nil)
	}
	h.want(http.StatusOK, "admin", h.operator, "PATCH", "/admin/v1/apps/"+id, "", map[string]any{"perMinute": 3, "reason": "r"})
	allowed := 0
	h.until("the quota refuses", func() bool {
		status, _ := h.call("public", token, "GET", "/v1/orders", "", nil)
		if status == http.StatusOK {
			allowed++
		}
		return status == http.StatusTooManyRequests
	})
	if allowed != 3 {
		t.Errorf("%d calls were allowed, want 3", allowed)
	}
	h.want(http.StatusOK, "public", h.token("ann", ""), "GET", "/v1/orders", "", nil)
}

// grant gets a token by the client secret in the form.
func (h *house) grant(id, secret string) string {
	h.t.Helper()
	res, err := http.PostForm("http://"+h.Addrs()["public"]+"/oauth2/token", map[string][]string{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("%d %v", res.StatusCode, err)
	}
	return out.Token
}

// Two instances on MariaDB and Redis: a client that signs at both is let in by both; a disabled app is refused by the other within
// five seconds, the token it has too; and the exports and the trail show no secret.
func TestAppRevokedOnTheOtherInstance(t *testing.T) {
	t.Parallel()
	url, cache := engines.MariaDB(t).Database(t), engines.Redis(t).URL()
	shared := func(node int) func(*config.Config) {
		return func(c *config.Config) {
			c.Stock, c.Gate, c.Node = url, cache, node
			c.Apps.Key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
			c.Keys.File = filepath.Join(filepath.Dir(c.Data), "keys.json")
		}
	}
	dir := t.TempDir()
	one, two := start(t, filepath.Join(dir, "one"), shared(1)), start(t, filepath.Join(dir, "two"), shared(2))
	id, secrets := one.newApp(map[string]any{"name": "n", "apis": []string{"orders.read"}})
	token := one.grant(id, secrets["oauth2"][1])
	status := func() int { s, _ := two.call("public", token, "GET", "/v1/orders", "", nil); return s }
	two.until("the other instance knows the app", func() bool { return status() == http.StatusOK })
	for _, e := range clients(t) {
		for _, h := range []*house{one, two} {
			args := []string{"--url", "http://" + h.Addrs()["public"], "--key", secrets["signing"][0], "GET", "/v1/orders"}
			if out, ok := e.run(t, secrets["signing"][1], args...); !ok {
				t.Errorf("%s: %s", e.name, out)
			}
		}
	}
	one.want(http.StatusOK, "admin", one.operator, "POST", "/admin/v1/apps/"+id+"/disable", "", map[string]any{"reason": "leaked"})
	begin := time.Now()
	two.until("the other instance refuses the app", func() bool { return status() == http.StatusUnauthorized })
	t.Logf("measured: refused by the other instance after %v", time.Since(begin).Round(time.Millisecond))
	for _, path := range []string{"/admin/v1/audit", "/admin/v1/apps", "/admin/v1/apps/" + id} {
		if text := one.text(path); strings.Contains(text, secrets["oauth2"][1]) || strings.Contains(text, secrets["signing"][1]) || strings.Contains(text, `"secret":`) {
			t.Errorf("%s shows a secret: %s", path, text)
		}
	}
	if text := one.text("/admin/v1/export/audit"); !strings.Contains(text, "app.disable") || !strings.Contains(text, "leaked") || strings.Contains(text, "pssk_") {
		t.Errorf("the trail: %s", text)
	}
}

// text reads an answer of the admin listener.
func (h *house) text(path string) string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "GET", "http://"+h.Addrs()["admin"]+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.operator)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
	return b.String()
}

// Each route of the table of built-in APIs exists, so that no permission is for nothing.
func TestBuiltInAPIsAreRoutes(t *testing.T) {
	t.Parallel()
	routes := api.PublicRoutes()
	for route, name := range partner.BuiltInAPIs() {
		if _, ok := routes[route]; !ok {
			t.Errorf("%s is of the API %s and not a route", route, name)
		}
	}
}
