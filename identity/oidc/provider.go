package oidc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"penstock/identity"
	"penstock/identity/web"
)

const (
	codeLife   = time.Minute
	accessLife = 5 * time.Minute
	idLife     = 5 * time.Minute
)

// Options tunes a Provider.
type Options struct {
	// Issuer is the public URL of the admin listener, without a last slash: https, or http on loopback.
	Issuer string
}

// Provider is the OpenID provider. See the package comment for its promises.
type Provider struct {
	people *identity.People
	web    *web.Web
	issuer string

	mu   sync.Mutex
	keys keySet // as read last
}

// CheckIssuer says what is wrong with an issuer, or nil.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Path != "" || u.Opaque != "" {
		return fmt.Errorf("issuer %q is not a URL of scheme and host only, such as https://login.shop.example", issuer)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("issuer %q must be https; http is for loopback only", issuer)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// New returns a provider and makes its signing keys if there are none. web shows who is logged in; bind its FormTo to
// [Provider.FormTo].
func New(ctx context.Context, people *identity.People, o Options) (*Provider, error) {
	if err := CheckIssuer(o.Issuer); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	p := &Provider{people: people, issuer: o.Issuer}
	return p, p.ensureKeys(ctx)
}

// Use binds the pages; call it once, before Handler.
func (p *Provider) Use(w *web.Web) { p.web = w }

// Issuer is the issuer of tokens.
func (p *Provider) Issuer() string { return p.issuer }

// Handler answers /.well-known/openid-configuration and /oidc/….
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /oidc/jwks", p.jwks)
	mux.HandleFunc("GET /oidc/authorize", p.authorize)
	mux.HandleFunc("POST /oidc/authorize", p.authorize)
	mux.HandleFunc("POST /oidc/token", p.token)
	mux.HandleFunc("GET /oidc/userinfo", p.userinfo)
	mux.HandleFunc("POST /oidc/userinfo", p.userinfo)
	mux.HandleFunc("GET /oidc/end-session", p.endSession)
	mux.HandleFunc("POST /oidc/end-session", p.endSession)
	return mux
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                         p.issuer,
		"authorization_endpoint":                         p.issuer + "/oidc/authorize",
		"token_endpoint":                                 p.issuer + "/oidc/token",
		"userinfo_endpoint":                              p.issuer + "/oidc/userinfo",
		"jwks_uri":                                       p.issuer + "/oidc/jwks",
		"end_session_endpoint":                           p.issuer + "/oidc/end-session",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          algorithms(),
		"scopes_supported":                               scopes(),
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"claims_supported":                               []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "azp", "sid", "name", "preferred_username", "email", "role"},
		"prompt_values_supported":                        []string{"none", "login"},
		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"claims_parameter_supported":                     false,
	})
}

func scopes() []string { return []string{"openid", "profile", "email", "roles", "offline_access"} }

// FormTo is the origin that a login leads to in the end when it leads back to the authorize call of a known client.
func (p *Provider) FormTo(ctx context.Context, path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Path != "/oidc/authorize" {
		return ""
	}
	q := u.Query()
	c, _, err := p.client(ctx, q.Get("client_id"))
	if err != nil || !c.redirects(q.Get("redirect_uri")) {
		return ""
	}
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || to.Scheme != "https" && to.Scheme != "http" {
		return ""
	}
	return to.Scheme + "://" + to.Host
}

// oauthError is an error as RFC 6749 wants it told.
type oauthError struct {
	code, detail string
	status       int
}

func (e *oauthError) Error() string { return e.code + ": " + e.detail }

func refuse(code, detail string) *oauthError {
	return &oauthError{code, detail, http.StatusBadRequest}
}

// tell answers with an error: one of OAuth as it is, anything else without its text.
func tell(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*oauthError](err)
	if !ok {
		e = &oauthError{"temporarily_unavailable", "something is not available on our side; nothing was granted", http.StatusServiceUnavailable}
		w.Header().Set("Retry-After", "1")
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("Www-Authenticate", `Basic realm="token"`)
	}
	w.Header().Set("Cache-Control", "no-store")
	reply(w, e.status, map[string]any{"error": e.code, "error_description": e.detail})
}

// host is the part of a URL that an address stands in.
func host(u *url.URL) string {
	if h, _, err := net.SplitHostPort(u.Host); err == nil {
		return h
	}
	return u.Host
}
