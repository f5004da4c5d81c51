package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"penstock/engine/groupcommit"
	"penstock/identity"
)

// A browser that leaves while its login is looked at is no failure of the server: nothing is answered, least of all a 500.
func TestBrowserThatLeaves(t *testing.T) {
	t.Parallel()
	db, err := identity.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "identity.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	vault, err := identity.NewVault([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	people, err := identity.New(t.Context(), db, vault, identity.Options{Cost: identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(people, Options{})
	if err != nil {
		t.Fatal(err)
	}
	shown, get := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/login", nil)
	token := w.form(shown, get)
	post := func(ctx context.Context, step string) *httptest.ResponseRecorder {
		body := url.Values{"csrf": {token}, "step": {step}, "name": {"alice"}, "password": {"wrong wrong wrong"}, "code": {"123456"}}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", strings.NewReader(body.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range shown.Result().Cookies() {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		return rec
	}
	for _, step := range []string{"password", "code"} {
		if rec := post(t.Context(), step); rec.Code != http.StatusUnauthorized {
			t.Fatalf("%s, from who stays: %d", step, rec.Code)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if rec := post(gone, step); rec.Body.Len() > 0 || rec.Code != http.StatusOK { // 200 is what a recorder says of no answer
			t.Errorf("%s, from who has left: %d %s", step, rec.Code, rec.Body)
		}
	}
}
