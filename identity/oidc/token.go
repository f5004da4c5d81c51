package oidc

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"penstock/errs"
	"penstock/identity"
)

// token exchanges a code or a refresh token.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	answer, err := p.answerToken(r)
	if err != nil {
		tell(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	reply(w, http.StatusOK, answer)
}

func (p *Provider) answerToken(r *http.Request) (map[string]any, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.ParseForm() != nil {
		return nil, refuse("invalid_request", "send a form")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, refuse("invalid_request", name+" is there twice")
		}
	}
	c, err := p.authenticate(r)
	if err != nil {
		return nil, err
	}
	t := ticket{client: c}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		t.kind, t.secret, t.redirect, t.verifier = kindCode, r.PostForm.Get("code"), r.PostForm.Get("redirect_uri"), r.PostForm.Get("code_verifier")
	case "refresh_token":
		t.kind, t.secret, t.scopes = kindRefresh, r.PostForm.Get("refresh_token"), fields(r.PostForm.Get("scope"))
	default:
		return nil, refuse("unsupported_grant_type", "grant_type is authorization_code or refresh_token")
	}
	// A client that hangs up must not leave a spent code without its tokens being told apart from a reuse.
	ctx := context.WithoutCancel(r.Context())
	got, err := p.exchange(ctx, t)
	if err != nil {
		return nil, err
	}
	return p.answerTokens(ctx, c, got, t.kind == kindCode)
}

func (p *Provider) answerTokens(ctx context.Context, c Client, got tokens, first bool) (map[string]any, error) {
	u, err := p.people.User(ctx, got.grant.user)
	if err != nil {
		return nil, err
	}
	id, err := p.idToken(ctx, c, got.grant, u, first)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{
		"access_token": got.access, "token_type": "Bearer", "expires_in": int64(got.life / time.Second), "id_token": id, "scope": strings.Join(got.grant.Scopes, " "),
	}
	if got.refresh != "" {
		answer["refresh_token"] = got.refresh
	}
	return answer, nil
}

// idToken says who logged in. The nonce is told with the code only; a refresh keeps auth_time.
func (p *Provider) idToken(ctx context.Context, c Client, g grant, u identity.User, first bool) (string, error) {
	now := p.people.Now()
	all := jwt.MapClaims{
		"iss": p.issuer, "aud": c.ID, "azp": c.ID, "iat": now.Unix(), "exp": now.Add(idLife).Unix(), "auth_time": g.Auth.Unix(), "amr": g.Methods, "sid": sid(g),
	}
	if first && g.Nonce != "" {
		all["nonce"] = g.Nonce
	}
	maps.Copy(all, claims(u, g.Scopes))
	return p.sign(ctx, c.Algorithm, all)
}

// sid names the session towards clients, which cannot use it for anything.
func sid(g grant) string { return identity.Digest("sid\x00" + g.session)[:32] }

// authenticate finds the client of a token call: by Basic, by the form, or, for a public one, by its id alone.
func (p *Provider) authenticate(r *http.Request) (Client, error) {
	bad := &oauthError{"invalid_client", "the client is not known, or its secret is wrong", http.StatusUnauthorized}
	id, secret, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id) // RFC 6749 §2.3.1
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || r.PostForm.Has("client_secret") || r.PostForm.Has("client_id") && r.PostForm.Get("client_id") != id {
			return Client{}, bad
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	c, digest, err := p.client(r.Context(), id)
	if errs.CodeOf(err) == errs.NotFound {
		return Client{}, bad
	}
	if err != nil {
		return Client{}, err
	}
	if c.Disabled || c.Public && secret != "" || !c.Public && !sameSecret(digest, secret) {
		return Client{}, bad
	}
	return c, nil
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	g, u, err := p.access(r.Context(), secret)
	if e, ok := errors.AsType[*oauthError](err); ok {
		w.Header().Set("Www-Authenticate", `Bearer error="`+e.code+`"`)
		w.Header().Set("Cache-Control", "no-store")
		reply(w, e.status, map[string]any{"error": e.code, "error_description": e.detail})
		return
	}
	if err != nil {
		tell(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	reply(w, http.StatusOK, claims(u, g.Scopes))
}
