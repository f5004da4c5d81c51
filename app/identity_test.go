package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"penstock/config"
)

// An admin's token makes a person, who logs in with the generated password, may do what the role says and nothing else, and is out
// at once when disabled; the trail tells all of it, without the password. The provider answers under its issuer.
func TestLoginOfTheBackOffice(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Identity.Issuer = "https://login.shop.example" })
	admin := "http://" + h.Addrs()["admin"]
	do := func(c *http.Client, method, path, token, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(path, "/log") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	boss := h.token("boss", "admin")
	if status, text := do(http.DefaultClient, "POST", "/admin/v1/users", h.operator, `{"name":"vera","role":"viewer"}`); status != 403 {
		t.Fatalf("an operator makes users: %d %s", status, text)
	}
	status, text := do(http.DefaultClient, "POST", "/admin/v1/users", boss, `{"name":"vera","role":"viewer"}`)
	var made struct{ Password string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != 201 || made.Password == "" {
		t.Fatalf("%d %s", status, text)
	}
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	_, page := do(browser, "GET", "/login", "", "")
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)[1]
	form := url.Values{"csrf": {csrf}, "step": {"password"}, "name": {"vera"}, "password": {made.Password}}
	if status, text := do(browser, "POST", "/login", "", form.Encode()); status != 200 || !strings.Contains(text, "logged in as <b>vera</b>") {
		t.Fatalf("%d %s", status, text)
	}
	for call, want := range map[string]int{"GET /admin/v1/sales": 200, "GET /admin/v1/me": 200, "GET /admin/v1/users": 403, "GET /admin/v1/audit": 403, "POST /admin/v1/reconcile": 403, "GET /admin/v1/export/orders": 403} {
		method, path, _ := strings.Cut(call, " ")
		if status, text := do(browser, method, path, "", ""); status != want {
			t.Errorf("%s: %d, want %d: %s", call, status, want, text)
		}
	}
	if status, text := do(http.DefaultClient, "PATCH", "/admin/v1/users/vera", boss, `{"disabled":true,"reason":"left"}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if status, _ := do(browser, "GET", "/admin/v1/me", "", ""); status != 401 {
		t.Errorf("a disabled user: %d", status)
	}
	_, trail := do(http.DefaultClient, "GET", "/admin/v1/audit", boss, "")
	for _, act := range []string{`"user.create"`, `"login"`, `"user.change"`} {
		if !strings.Contains(trail, act) {
			t.Errorf("the trail lacks %s", act)
		}
	}
	if strings.Contains(trail, made.Password) {
		t.Error("the trail has the password")
	}
	if _, text := do(http.DefaultClient, "GET", "/.well-known/openid-configuration", "", ""); !strings.Contains(text, `"issuer":"https://login.shop.example"`) {
		t.Error(text)
	}
}
