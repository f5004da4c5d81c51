package oidc_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"penstock/engine/sqldb"
	"penstock/identity"
	"penstock/identity/oidc"
	"penstock/internal/engines"
)

// every is what must hold on both engines.
var every = map[string]func(t *testing.T, w *world){
	"client library": clientLibrary,
	"code reuse":     codeReuse,
	"refresh reuse":  refreshReuse,
	"wrong tickets":  wrongTickets,
	"end of session": endOfSession,
	"rotation":       rotation,
	"reasons":        reasons,
	"session gone":   sessionGone,
}

// The provider keeps its promises on a SQLite file.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range every {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, newWorld(t, onSQLite)) })
	}
}

// The provider keeps its promises on MariaDB.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	db := onMySQL(engines.MariaDB(t))
	for name, test := range every {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, db)) })
	}
}

// A client library that knows nothing of ours discovers the provider, logs in, verifies the ID token by each algorithm, asks for
// the user and refreshes. A second system needs no second password.
func clientLibrary(t *testing.T, w *world) {
	b := w.browser()
	for _, alg := range []string{oidc.RS256, oidc.ES256, oidc.EdDSA} {
		id := "app-" + strings.ToLower(alg)
		secret := w.client(oidc.Client{ID: id, Name: id, Redirects: []string{callback}, Algorithm: alg})
		rp := w.relying(id, secret)
		verifier := oauth2.GenerateVerifier()
		token, err := rp.Exchange(t.Context(), w.code(b, rp, verifier), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		for refreshed := range 2 {
			raw, _ := token.Extra("id_token").(string)
			verified, err := rp.verifier.Verify(t.Context(), raw)
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			var claims struct {
				Name, Email, Role, Nonce, Azp, Sid string
				Amr                                []string
				AuthTime                           int64 `json:"auth_time"`
			}
			if err := verified.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if verified.Subject != "alice" || claims.Name != "Alice" || claims.Email != "alice@shop.example" || claims.Role != "operator" || claims.AuthTime == 0 || len(claims.Amr) != 1 ||
				refreshed == 0 && claims.Nonce != "some-nonce" {
				t.Errorf("%s: %+v", alg, claims)
			}
			info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			if err != nil || info.Subject != "alice" || info.Email != "alice@shop.example" {
				t.Errorf("%s: %+v %v", alg, info, err)
			}
			if token, err = rp.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err != nil {
				t.Fatalf("%s: refresh: %v", alg, err)
			}
		}
	}
	// A public client, and the form of authentication that the library did not choose.
	w.client(oidc.Client{ID: "spa", Name: "SPA", Redirects: []string{callback}, Public: true})
	rp := w.relying("spa", "")
	rp.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	verifier := oauth2.GenerateVerifier()
	if _, err := rp.Exchange(t.Context(), w.code(b, rp, verifier), oauth2.VerifierOption(verifier)); err != nil {
		t.Error(err)
	}
}

func (w *world) codeForm(code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "client_id": {"crm"}, "client_secret": {w.secret}}
}

// A code that comes a second time is refused and ends what the first gave.
func codeReuse(t *testing.T, w *world) {
	rp, verifier := w.relying("crm", w.secret), oauth2.GenerateVerifier()
	code := w.code(w.browser(), rp, verifier)
	token, err := rp.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	status, problem := w.post(w.codeForm(code, verifier))
	want(t, "status", status, 400)
	want(t, "error", problem, "invalid_grant")
	if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Error("the access token of a stolen code is good")
	}
	if _, err := rp.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil {
		t.Error("the refresh token of a stolen code is good")
	}
	if !w.told("oidc.reuse") {
		t.Error("the trail does not know")
	}
}

// A refresh token that comes a second time ends the whole chain, the newest token included.
func refreshReuse(t *testing.T, w *world) {
	rp, verifier := w.relying("crm", w.secret), oauth2.GenerateVerifier()
	first, err := rp.Exchange(t.Context(), w.code(w.browser(), rp, verifier), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	second, err := rp.TokenSource(t.Context(), &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	if err != nil || second.RefreshToken == first.RefreshToken {
		t.Fatalf("not rotated: %v", err)
	}
	for _, old := range []string{first.RefreshToken, second.RefreshToken} {
		if _, err := rp.TokenSource(t.Context(), &oauth2.Token{RefreshToken: old}).Token(); err == nil {
			t.Error("a chain that was copied goes on")
		}
	}
}

// A ticket is good for its client, its redirect URI, its verifier and its kind only; wrong tries do not spend it.
func wrongTickets(t *testing.T, w *world) {
	other := w.client(oidc.Client{ID: "other", Name: "Other", Redirects: []string{callback}})
	rp, verifier := w.relying("crm", w.secret), oauth2.GenerateVerifier()
	code := w.code(w.browser(), rp, verifier)
	for name, c := range map[string]struct {
		edit   func(url.Values)
		status int
		code   string
	}{
		"other verifier": {func(f url.Values) { f.Set("code_verifier", oauth2.GenerateVerifier()) }, 400, "invalid_grant"},
		"no verifier":    {func(f url.Values) { f.Del("code_verifier") }, 400, "invalid_grant"},
		"other redirect": {func(f url.Values) { f.Set("redirect_uri", callback+"/") }, 400, "invalid_grant"},
		"no redirect":    {func(f url.Values) { f.Del("redirect_uri") }, 400, "invalid_grant"},
		"other client":   {func(f url.Values) { f.Set("client_id", "other"); f.Set("client_secret", other) }, 400, "invalid_grant"},
		"wrong secret":   {func(f url.Values) { f.Set("client_secret", other) }, 401, "invalid_client"},
		"no secret":      {func(f url.Values) { f.Del("client_secret") }, 401, "invalid_client"},
		"unknown client": {func(f url.Values) { f.Set("client_id", "nobody") }, 401, "invalid_client"},
		"as refresh":     {func(f url.Values) { f.Set("grant_type", "refresh_token"); f.Set("refresh_token", code) }, 400, "invalid_grant"},
		"password grant": {func(f url.Values) { f.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
		"twice":          {func(f url.Values) { f.Add("code", "x") }, 400, "invalid_request"},
		"nonsense":       {func(f url.Values) { f.Set("code", "x") }, 400, "invalid_grant"},
	} {
		form := w.codeForm(code, verifier)
		c.edit(form)
		status, problem := w.post(form)
		want(t, name, status, c.status)
		want(t, name, problem, c.code)
	}
	if status, problem := w.post(w.codeForm(code, verifier)); status != 200 {
		t.Errorf("the code was spent by wrong tries: %s", problem)
	}
}

// Logout, logout everywhere and a disabled user end what other systems were granted; the way back is a registered one only.
func endOfSession(t *testing.T, w *world) {
	for name, end := range map[string]func(b *browser, idToken string){
		"end-session": func(b *browser, idToken string) {
			at, _, _ := b.visit(w.srv.URL + "/oidc/end-session?" + url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {"https://crm.example/bye"}, "state": {"s"}}.Encode())
			want(t, "landed", at.String(), "https://crm.example/bye?state=s")
		},
		"everywhere": func(*browser, string) { _, _ = w.people.LogoutEverywhere(t.Context(), "test", "alice", "") },
		"disabled": func(*browser, string) {
			for _, off := range []bool{true, false} {
				if _, _, err := w.people.Change(t.Context(), "test", "", identity.User{Name: "alice", Role: identity.Operator, Disabled: off}); err != nil {
					t.Fatal(err)
				}
			}
		},
		"client disabled": func(*browser, string) {
			for _, off := range []bool{true, false} {
				if _, err := w.provider.ChangeClient(t.Context(), "test", "", oidc.Client{ID: "crm", Name: "CRM", Redirects: []string{callback}, PostLogout: []string{"https://crm.example/bye"}, Disabled: off}); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		b, rp, verifier := w.browser(), w.relying("crm", w.secret), oauth2.GenerateVerifier()
		token, err := rp.Exchange(t.Context(), w.code(b, rp, verifier), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		idToken, _ := token.Extra("id_token").(string)
		// Another site cannot log anybody out, and no way back is taken that is not registered.
		for _, q := range []string{"", "?client_id=crm&post_logout_redirect_uri=https://evil.example/", "?id_token_hint=x.y.z"} {
			if at, _, page := b.visit(w.srv.URL + "/oidc/end-session" + q); at.Host == "evil.example" || !strings.Contains(page, "<button>Log out") {
				t.Errorf("%s: %s %s", q, at, page)
			}
		}
		if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		end(b, idToken)
		if _, err := rp.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil {
			t.Errorf("%s: the refresh token lives on", name)
		}
		if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
			t.Errorf("%s: the access token lives on", name)
		}
	}
}

// Why a secret or the keys were changed, and why a system was taken away, is in the trail.
func reasons(t *testing.T, w *world) {
	_, err := w.provider.RotateKeys(t.Context(), "test", "a spring clean")
	if err == nil {
		_, err = w.provider.RotateSecret(t.Context(), "test", "it leaked", "crm")
	}
	if err == nil {
		err = w.provider.DeleteClient(t.Context(), "test", "moved out", "crm")
	}
	if err != nil {
		t.Fatal(err)
	}
	for act, why := range map[string]string{"oidc-keys.rotate": "a spring clean", "oidc-client.rotate": "it leaked", "oidc-client.delete": "moved out"} {
		if !slices.ContainsFunc(w.acts, func(a identity.Act) bool { return a.Act == act && a.Why == why }) {
			t.Errorf("the trail has no %s because %s", act, why)
		}
	}
}

// After a rotation tokens signed before still verify, and the new keys are shown.
func rotation(t *testing.T, w *world) {
	rp, verifier := w.relying("crm", w.secret), oauth2.GenerateVerifier()
	token, err := rp.Exchange(t.Context(), w.code(w.browser(), rp, verifier), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	kids, err := w.provider.RotateKeys(t.Context(), "test", "spring cleaning")
	if err != nil || len(kids) != 3 {
		t.Fatal(kids, err)
	}
	raw, _ := token.Extra("id_token").(string)
	if _, err := w.relying("crm", w.secret).verifier.Verify(t.Context(), raw); err != nil {
		t.Error(err)
	}
	r, err := http.Get(w.srv.URL + "/oidc/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	for _, kid := range kids {
		if !strings.Contains(string(text), kid) {
			t.Errorf("key %s is not shown", kid)
		}
	}
	for _, secret := range []string{`"d"`, `"p"`, `"q"`} {
		if strings.Contains(string(text), secret) {
			t.Errorf("a private part is shown: %s", text)
		}
	}
}

// What is wrong with client or redirect URI leads nowhere; the rest is told to the client, and no code is given without PKCE.
func TestAuthorizeRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite)
	w.client(oidc.Client{ID: "admins", Name: "A", Redirects: []string{callback}, Roles: []identity.Role{identity.Admin}})
	b := w.browser()
	rp := w.relying("crm", w.secret)
	w.code(b, rp, oauth2.GenerateVerifier()) // logged in
	good := func() url.Values {
		u, _ := url.Parse(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		return u.Query()
	}
	for name, c := range map[string]struct {
		edit func(url.Values)
		want string // the error told to the client; "" means that nothing leads there
	}{
		"unknown client":        {func(q url.Values) { q.Set("client_id", "x") }, ""},
		"other redirect":        {func(q url.Values) { q.Set("redirect_uri", "https://evil.example/cb") }, ""},
		"longer redirect":       {func(q url.Values) { q.Set("redirect_uri", callback+"/../x") }, ""},
		"redirect with query":   {func(q url.Values) { q.Set("redirect_uri", callback+"?a=b") }, ""},
		"redirect with user":    {func(q url.Values) { q.Set("redirect_uri", "https://crm.example@evil.example/cb") }, ""},
		"redirect in capitals":  {func(q url.Values) { q.Set("redirect_uri", "https://CRM.example/cb") }, ""},
		"no redirect":           {func(q url.Values) { q.Del("redirect_uri") }, ""},
		"redirect twice":        {func(q url.Values) { q.Add("redirect_uri", "https://evil.example/cb") }, ""},
		"no PKCE":               {func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }, "invalid_request"},
		"plain PKCE":            {func(q url.Values) { q.Set("code_challenge_method", "plain") }, "invalid_request"},
		"method left out":       {func(q url.Values) { q.Del("code_challenge_method") }, "invalid_request"},
		"implicit":              {func(q url.Values) { q.Set("response_type", "token") }, "unsupported_response_type"},
		"hybrid":                {func(q url.Values) { q.Set("response_type", "code id_token") }, "unsupported_response_type"},
		"fragment":              {func(q url.Values) { q.Set("response_mode", "fragment") }, "invalid_request"},
		"no openid":             {func(q url.Values) { q.Set("scope", "profile") }, "invalid_scope"},
		"unknown scope":         {func(q url.Values) { q.Set("scope", "openid root") }, "invalid_scope"},
		"request object":        {func(q url.Values) { q.Set("request", "e30.e30.") }, "request_not_supported"},
		"request URI":           {func(q url.Values) { q.Set("request_uri", "http://127.0.0.1/") }, "request_uri_not_supported"},
		"prompt none and login": {func(q url.Values) { q.Set("prompt", "none login") }, "invalid_request"},
		"role not admitted":     {func(q url.Values) { q.Set("client_id", "admins") }, "access_denied"},
	} {
		q := good()
		c.edit(q)
		at, status, _ := b.visit(w.srv.URL + "/oidc/authorize?" + q.Encode())
		switch {
		case c.want == "" && (status != 400 || at.Host != strings.TrimPrefix(w.srv.URL, "http://")):
			t.Errorf("%s: led to %s with %d", name, at, status)
		case c.want != "" && (at.Host != "crm.example" || at.Query().Get("error") != c.want || at.Query().Has("code") || at.Query().Get("state") != "s"):
			t.Errorf("%s: %s", name, at)
		}
	}
	q := good()
	q.Set("prompt", "none")
	at, _, _ := b.visit(w.srv.URL + "/oidc/authorize?" + q.Encode())
	want(t, "prompt=none, logged in", at.Query().Has("code"), true)
	at, _, _ = w.browser().visit(w.srv.URL + "/oidc/authorize?" + q.Encode())
	want(t, "prompt=none, logged out", at.Query().Get("error"), "login_required")
	for name, value := range map[string]string{"prompt": "login", "max_age": "0"} {
		q := good()
		q.Set(name, value)
		r, err := b.Get(w.srv.URL + "/oidc/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if at, _, page := b.landed(r); at.Path != "/login" || !strings.Contains(page, `name="password"`) || !strings.Contains(r.Header.Get("Content-Security-Policy"), "form-action 'self' https://crm.example;") {
			t.Errorf("%s=%s: no login at %s %v", name, value, at, r.Header)
		}
		if at, _, _ := b.visit(w.srv.URL + "/oidc/authorize?" + q.Encode()); !at.Query().Has("code") {
			t.Errorf("%s=%s: after the login: %s", name, value, at)
		}
	}
}

// A form of the login is taken from its own page only, and a planted session does not survive the login.
func TestLoginForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite)
	form := func(token string) url.Values {
		return url.Values{"csrf": {token}, "step": {"password"}, "name": {"alice"}, "password": {password}, "return": {"//evil.example"}}
	}
	for name, edit := range map[string]func(r *http.Request, b *browser, token string){
		"other site":   func(r *http.Request, _ *browser, _ string) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"other origin": func(r *http.Request, _ *browser, _ string) { r.Header.Set("Origin", "https://evil.example") },
		"no cookie":    func(_ *http.Request, b *browser, _ string) { b.Jar = nil },
		"other form": func(r *http.Request, _ *browser, _ string) {
			r.Body = io.NopCloser(strings.NewReader(form("x").Encode()))
			r.ContentLength = -1
		},
		"as JSON": func(r *http.Request, _ *browser, _ string) { r.Header.Set("Content-Type", "text/plain") },
	} {
		b := w.browser()
		_, _, page := func() (*url.URL, int, string) { r, _ := b.Get(w.srv.URL + "/login"); return b.landed(r) }()
		token := csrf.FindStringSubmatch(page)[1]
		r, _ := http.NewRequest("POST", w.srv.URL+"/login", strings.NewReader(form(token).Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		edit(r, b, token)
		answer, err := b.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, status, _ := b.landed(answer); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	b := w.browser()
	at, _ := url.Parse(w.srv.URL)
	b.Jar.SetCookies(at, []*http.Cookie{{Name: "penstock-session", Value: "planted", Path: "/"}})
	r, err := b.Get(w.srv.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_, _, page := b.landed(r)
	to, status, page := b.submit(page, form(""))
	if status != 200 || to.Path != "/login" || !strings.Contains(page, "logged in as <b>alice</b>") {
		t.Errorf("landed at %s with %d: %s", to, status, page)
	}
	for _, c := range b.Jar.Cookies(at) {
		if c.Name == "penstock-session" && c.Value == "planted" {
			t.Error("the planted session was kept")
		}
	}
}

// Redirect URIs and issuers that could lead elsewhere are not registered.
func TestRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onSQLite)
	for _, uri := range []string{"http://crm.example/cb", "https://crm.example/cb#x", "//crm.example", "/cb", "javascript:alert(1)", "https://u@crm.example/", "data:text/html,x", "https://crm.example/ä", "https:///x", ""} {
		if _, _, err := w.provider.CreateClient(t.Context(), "t", oidc.Client{ID: "x", Name: "X", Redirects: []string{uri}}); err == nil {
			t.Errorf("%q was registered", uri)
		}
	}
	for _, uri := range []string{"http://127.0.0.1:8000/cb", "http://localhost/cb", "com.example.app:/cb"} {
		if _, _, err := w.provider.CreateClient(t.Context(), "t", oidc.Client{ID: strings.Map(func(r rune) rune {
			if r == ':' || r == '/' {
				return '-'
			}
			return r
		}, uri), Name: "X", Redirects: []string{uri}}); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
	for issuer, good := range map[string]bool{
		"https://login.shop.example": true, "http://127.0.0.1:8081": true, "http://login.shop.example": false, "https://login.shop.example/": false, "https://a.example?x=1": false, "": false, "login": false,
	} {
		if err := oidc.CheckIssuer(issuer); (err == nil) != good {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

// What was granted ends with the session's row, by whatever it went: a sweep after a time of not being used, or a logout that met
// the making of the grant and could not see it to revoke it. It ends too when the client is not for the user's role any more.
func sessionGone(t *testing.T, w *world) {
	rp, verifier := w.relying("crm", w.secret), oauth2.GenerateVerifier()
	token, err := rp.Exchange(t.Context(), w.code(w.browser(), rp, verifier), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	info := func() error {
		_, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
		return err
	}
	narrow := oidc.Client{ID: "crm", Name: "CRM", Redirects: []string{callback}}
	for _, roles := range [][]identity.Role{{identity.Admin}, nil} {
		narrow.Roles = roles
		if _, err := w.provider.ChangeClient(t.Context(), "test", "", narrow); err != nil {
			t.Fatal(err)
		}
		if err := info(); (err == nil) != (roles == nil) {
			t.Errorf("a client for %v: %v", roles, err)
		}
	}
	err = w.people.Store().Do(t.Context(), sqldb.NoLock, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM identity_sessions`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if info() == nil {
		t.Error("an access token outlives its session")
	}
}
