package api

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"penstock/engine/groupcommit"
	"penstock/errs"
	"penstock/identity"
	"penstock/identity/web"
	"penstock/internal/clock"
)

const alicePassword = "correct horse battery"

// withPeople gives the listener a real room of people, with alice, an operator; hashing is made cheap.
func withPeople(t testing.TB, d *Deps, c clock.Clock) {
	t.Helper()
	db, err := identity.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "identity.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	vault, err := identity.NewVault([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	people, err := identity.New(t.Context(), db, vault, identity.Options{Clock: c, Cost: identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = people.Create(t.Context(), "setup", identity.User{Name: "alice", Role: identity.Operator}, alicePassword); err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(people, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.People, d.Browser, d.Gateway.Sessions = people, pages, pages
}

var peopleByAccess = []call{
	{"GET /admin/v1/me", 401, 403, 403, 200, 403, 403},
	{`PUT /admin/v1/me/password {"old":"x","new":"y"}`, 401, 403, 403, 403, 403, 403}, // a token has no password
	{`PUT /admin/v1/me/totp {"password":"x"}`, 401, 403, 403, 403, 403, 403},
	{`POST /admin/v1/me/totp/confirmation {"code":"000000"}`, 401, 403, 403, 403, 403, 403},
	{"GET /admin/v1/users", 401, 403, 403, 200, 403, 403},
	{`POST /admin/v1/users {"name":"bob","role":"viewer"}`, 401, 403, 403, 201, 403, 403},
	{"GET /admin/v1/users/alice", 401, 403, 403, 200, 403, 403},
	{`PATCH /admin/v1/users/alice {"display":"A"}`, 401, 403, 403, 200, 403, 403},
	{"PUT /admin/v1/users/alice/password", 401, 403, 403, 200, 403, 403},
	{"PUT /admin/v1/users/alice/totp", 401, 403, 403, 200, 403, 403},
	{"DELETE /admin/v1/users/alice/totp", 401, 403, 403, 204, 403, 403},
	{"POST /admin/v1/users/alice/logout", 401, 403, 403, 200, 403, 403},
	{"GET /admin/v1/sessions", 401, 403, 403, 200, 403, 403},
	{"DELETE /admin/v1/sessions/none", 401, 403, 403, 404, 403, 403},
	{"GET /admin/v1/oidc-clients", 401, 403, 403, 404, 403, 403}, // no issuer here
	{"POST /admin/v1/oidc-clients " + `{"id":"a","name":"A","redirectUris":["https://a.example/cb"]}`, 401, 403, 403, 404, 403, 403},
	{"GET /admin/v1/oidc-clients/a", 401, 403, 403, 404, 403, 403},
	{`PATCH /admin/v1/oidc-clients/a {"name":"B"}`, 401, 403, 403, 404, 403, 403},
	{"DELETE /admin/v1/oidc-clients/a", 401, 403, 403, 404, 403, 403},
	{"POST /admin/v1/oidc-clients/a/rotate", 401, 403, 403, 404, 403, 403},
	{"POST /admin/v1/oidc-keys/rotate", 401, 403, 403, 404, 403, 403},
}

// login logs alice in and returns her session cookie.
func login(t *testing.T, d *Deps, h *house) *http.Cookie {
	t.Helper()
	w := h.ask(h.admin, "anonymous", "GET /login")
	form := w.Result().Cookies()[0]
	_, rest, _ := strings.Cut(w.Body.String(), `name="csrf" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	body := "csrf=" + token + "&step=password&name=alice&password=" + strings.ReplaceAll(alicePassword, " ", "+")
	w = h.ask(h.admin, "anonymous", "POST /login "+body, header("Content-Type", "application/x-www-form-urlencoded"), func(r *http.Request) { r.AddCookie(form) })
	for _, c := range w.Result().Cookies() {
		if strings.HasSuffix(c.Name, "penstock-session") {
			return c
		}
	}
	t.Fatalf("no session: %d %s", w.Code, w.Body)
	return nil
}

// A session stands in for a token; a call that changes something is refused unless it comes from a page of this server; the
// role decides what it may; and the cookie has every attribute where the browser does not talk to loopback.
func TestSessionInPlaceOfToken(t *testing.T) {
	t.Parallel()
	var d *Deps
	h := setup(t, func(x *Deps) { x.Gateway.May = identity.May; d = x })
	cookie := login(t, d, h)
	if cookie.Name != "__Host-penstock-session" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("cookie %+v", cookie)
	}
	with := func(more ...func(*http.Request)) []func(*http.Request) {
		return append([]func(*http.Request){func(r *http.Request) { r.AddCookie(cookie) }}, more...)
	}
	w := h.ask(h.admin, "anonymous", "GET /admin/v1/me", with()...)
	var me struct{ User, Role, CSRF string }
	if err := json.Unmarshal(w.Body.Bytes(), &me); err != nil || me.User != "alice" || me.Role != "operator" || me.CSRF == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	const act = `POST /admin/v1/sales/flash/actions {"action":"pause","reason":"test"}`
	for name, c := range map[string]struct {
		edit []func(*http.Request)
		want int
	}{
		"own page":             {with(header("Sec-Fetch-Site", "same-origin")), 200},
		"own origin":           {with(header("Origin", "https://example.com")), 200}, // httptest's host
		"other site":           {with(header("Sec-Fetch-Site", "cross-site")), 403},
		"sibling":              {with(header("Sec-Fetch-Site", "same-site")), 403},
		"other origin":         {with(header("Origin", "https://evil.example")), 403},
		"null origin":          {with(header("Origin", "null")), 403},
		"silent":               {with(), 403},
		"silent, bad token":    {with(header("X-Csrf-Token", "x")), 403},
		"silent, with token":   {with(header("X-Csrf-Token", me.CSRF)), 200},
		"forged origin, token": {with(header("Origin", "https://evil.example"), header("X-Csrf-Token", me.CSRF)), 403},
	} {
		if w := h.ask(h.admin, "anonymous", act, c.edit...); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
	problem(t, h.ask(h.admin, "anonymous", "GET /admin/v1/users", with()...), errs.Forbidden) // an admin's
	// A token beside the cookie is what counts, good or bad.
	problem(t, h.ask(h.admin, "anonymous", "GET /admin/v1/me", with(header("Authorization", "Bearer x"))...), errs.Unauthenticated)
	if err := d.People.(*identity.People).Logout(t.Context(), cookie.Value); err != nil {
		t.Fatal(err)
	}
	problem(t, h.ask(h.admin, "anonymous", "GET /admin/v1/me", with()...), errs.Unauthenticated)
}
