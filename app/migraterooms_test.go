package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
)

// granted asks for a token of an app.
func (h *house) granted(id, secret string) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.Addrs()["public"]+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// Apps, webhook endpoints and logins move with the rest: an app's secret, an endpoint's secret and a password are good afterwards.
// Without the key that seals them the move says which is missing, and goes on with it.
func TestRoomsMoveToMySQL(t *testing.T) {
	t.Parallel()
	database, old, fresh := engines.MariaDB(t).Database(t), t.TempDir(), t.TempDir()
	h := start(t, old, func(c *config.Config) { c.Webhooks.AllowInsecure, c.Webhooks.AllowPrivate = true, true })
	_, made := h.call("admin", h.operator, "POST", "/admin/v1/apps", "", map[string]any{"name": "acme", "apis": []string{"sales.read"}})
	id, secrets := made["id"].(string), made["secrets"].([]any)
	secret := secrets[0].(map[string]any)["secret"].(string)
	_, hook := h.call("admin", h.operator, "POST", "/admin/v1/webhooks", "", map[string]any{"url": "http://127.0.0.1:9/hook", "events": []string{"*"}})
	status, user := h.call("admin", h.token("boss", "admin"), "POST", "/admin/v1/users", "", map[string]any{"name": "alice", "role": "support", "password": "correct horse battery"})
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, user)
	}
	if status := h.granted(id, secret); status != http.StatusOK {
		t.Fatalf("a token before the move: %d", status)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		t.Fatal(err)
	}

	cfg := config.Default()
	cfg.Data, cfg.Stock, cfg.Keys.File = fresh, database, filepath.Join(old, "keys.json")
	move := func() error {
		return app.Migrate(ctx, old, cfg, app.Options{Log: io.Discard}, func(string, uint64, uint64) {})
	}
	for _, missing := range []string{"apps.key", "webhooks.key"} {
		if err := move(); err == nil || !strings.Contains(err.Error(), "set "+missing+" to what that file holds") {
			t.Fatalf("without %s: %v", missing, err)
		}
		text, err := os.ReadFile(filepath.Join(old, missing))
		if err != nil {
			t.Fatal(err)
		}
		if missing == "apps.key" {
			cfg.Apps.Key = strings.TrimSpace(string(text))
		} else {
			cfg.Webhooks.Key = strings.TrimSpace(string(text))
		}
	}
	if err := move(); err != nil {
		t.Fatal(err)
	}

	after := start(t, fresh, func(c *config.Config) {
		*c = cfg
		c.Listen, c.Limits.IP = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}, config.Rate{}
	})
	if status := after.granted(id, secret); status != http.StatusOK {
		t.Errorf("a token after the move: %d", status)
	}
	if status, out := after.call("admin", after.operator, "GET", "/admin/v1/webhooks/"+hook["id"].(string), "", nil); status != http.StatusOK || out["url"] != "http://127.0.0.1:9/hook" {
		t.Errorf("%d %v", status, out)
	}
	if who := after.login("alice", "correct horse battery"); !strings.Contains(who, "logged in as <b>alice</b>") {
		t.Errorf("login after the move: %s", who)
	}
}

// login logs in by the pages of the admin listener and returns the last one.
func (h *house) login(name, password string) string {
	h.t.Helper()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	page := func(res *http.Response, err error) string {
		h.t.Helper()
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
	at := "http://" + h.Addrs()["admin"] + "/login"
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page(browser.Get(at)))
	if csrf == nil {
		h.t.Fatal("the login page has no form")
	}
	return page(browser.PostForm(at, url.Values{"csrf": {csrf[1]}, "step": {"password"}, "name": {name}, "password": {password}}))
}
