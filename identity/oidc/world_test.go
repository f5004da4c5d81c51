package oidc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/identity"
	"penstock/identity/oidc"
	"penstock/identity/web"
	"penstock/internal/engines"
)

const password = "correct horse battery"

type store func(t testing.TB) identity.Store

func onSQLite(t testing.TB) identity.Store {
	t.Helper()
	s, err := identity.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "identity.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func onMySQL(server *engines.Server) store {
	return func(t testing.TB) identity.Store {
		t.Helper()
		c, err := mysql.Parse(server.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 6})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		s, err := identity.OpenMySQL(t.Context(), db, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// world is a provider behind HTTP, with alice, and a client "crm" that is another system.
type world struct {
	t        testing.TB
	people   *identity.People
	provider *oidc.Provider
	srv      *httptest.Server
	secret   string
	acts     []identity.Act
	mu       sync.Mutex
}

const callback = "https://crm.example/cb"

func newWorld(t testing.TB, db store) *world {
	t.Helper()
	w := &world{t: t}
	vault, err := identity.NewVault([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	w.people, err = identity.New(t.Context(), db(t), vault, identity.Options{Cost: identity.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}, Audit: func(_ context.Context, a identity.Act) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.acts = append(w.acts, a)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.people.Create(t.Context(), "test", identity.User{Name: "alice", Role: identity.Operator, Display: "Alice", Email: "alice@shop.example"}, password); err != nil {
		t.Fatal(err)
	}
	if err = w.people.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.people.Stop)
	mux := http.NewServeMux()
	w.srv = httptest.NewServer(mux)
	t.Cleanup(w.srv.Close)
	if w.provider, err = oidc.New(t.Context(), w.people, oidc.Options{Issuer: w.srv.URL}); err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(w.people, web.Options{FormTo: w.provider.FormTo})
	if err != nil {
		t.Fatal(err)
	}
	w.provider.Use(pages)
	for _, p := range []string{"/.well-known/", "/oidc/"} {
		mux.Handle(p, w.provider.Handler())
	}
	mux.Handle("/", pages.Handler())
	w.secret = w.client(oidc.Client{ID: "crm", Name: "CRM", Redirects: []string{callback}, PostLogout: []string{"https://crm.example/bye"}})
	return w
}

func (w *world) client(c oidc.Client) string {
	w.t.Helper()
	_, secret, err := w.provider.CreateClient(w.t.Context(), "test", c)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// browser keeps cookies and follows redirects within the provider; it stops at the client's door.
type browser struct {
	t testing.TB
	w *world
	http.Client
}

func (w *world) browser() *browser {
	jar, _ := cookiejar.New(nil)
	b := &browser{t: w.t, w: w}
	b.Jar = jar
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), w.srv.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return b
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// visit goes to a URL, logs in as alice if asked to, and returns where the browser ends up and what it shows.
func (b *browser) visit(to string) (*url.URL, int, string) {
	b.t.Helper()
	r, err := b.Get(to)
	if err != nil {
		b.t.Fatal(err)
	}
	at, status, page := b.landed(r)
	if !strings.Contains(page, `name="password"`) {
		return at, status, page
	}
	return b.submit(page, url.Values{"step": {"password"}, "name": {"alice"}, "password": {password}, "return": {at.Query().Get("return")}})
}

func (b *browser) submit(page string, form url.Values) (*url.URL, int, string) {
	b.t.Helper()
	form.Set("csrf", csrf.FindStringSubmatch(page)[1])
	r, err := b.PostForm(b.w.srv.URL+"/login", form)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.landed(r)
}

func (b *browser) landed(r *http.Response) (*url.URL, int, string) {
	b.t.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if to := r.Header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil {
			b.t.Fatal(err)
		}
		return u, r.StatusCode, string(text)
	}
	return r.Request.URL, r.StatusCode, string(text)
}

// relying is the other system, by libraries that know nothing of ours.
type relying struct {
	oauth2.Config
	provider *gooidc.Provider
	verifier *gooidc.IDTokenVerifier
}

func (w *world) relying(id, secret string) *relying {
	w.t.Helper()
	p, err := gooidc.NewProvider(w.t.Context(), w.srv.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	return &relying{
		Config:   oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: p.Endpoint(), RedirectURL: callback, Scopes: []string{gooidc.ScopeOpenID, "profile", "email", "roles", gooidc.ScopeOfflineAccess}},
		provider: p, verifier: p.Verifier(&gooidc.Config{ClientID: id}),
	}
}

// code goes through the login and returns the code that the client gets.
func (w *world) code(b *browser, rp *relying, verifier string) string {
	w.t.Helper()
	at, status, page := b.visit(rp.AuthCodeURL("some-state", gooidc.Nonce("some-nonce"), oauth2.S256ChallengeOption(verifier)))
	q := at.Query()
	if at.Host != "crm.example" || q.Get("state") != "some-state" || q.Get("iss") != w.srv.URL || q.Get("code") == "" {
		w.t.Fatalf("landed at %s, %d: %s", at, status, page)
	}
	return q.Get("code")
}

// post makes a token call and returns the status and the error code.
func (w *world) post(form url.Values) (int, string) {
	w.t.Helper()
	r, err := http.PostForm(w.srv.URL+"/oidc/token", form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	_, rest, _ := strings.Cut(string(text), `"error":"`)
	code, _, _ := strings.Cut(rest, `"`)
	if r.Header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("a token answer may be cached: %v", r.Header)
	}
	return r.StatusCode, code
}

func (w *world) told(act string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.acts {
		if a.Act == act {
			return true
		}
	}
	return false
}

func want[T comparable](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %v, want %v", what, fmt.Sprint(got), fmt.Sprint(wanted))
	}
}
