package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"penstock/errs"
	"penstock/identity"
	"penstock/internal/page"
)

// request is an authorization request whose client and redirect URI are known to be good.
type request struct {
	client Client
	q      url.Values
	scopes []string
}

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// authorize sends the browser back to the client with a code, to the login first where that is needed. What is wrong with the
// client or its redirect URI is told to the person and leads nowhere.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		if r.ParseForm() != nil {
			q = nil
		} else {
			q = r.PostForm
		}
	}
	req, err := p.checkClient(r, q)
	if err != nil {
		status, words := http.StatusBadRequest, "The request does not come from a system that is known here, or names an address that was not registered for it."
		if errs.CodeOf(err) == errs.ReducedCapacity {
			status, words = http.StatusServiceUnavailable, "The login is not available just now."
		}
		page.Page{Title: "Cannot log in", Status: status, Body: "<p>" + page.Escape(words) + "</p>"}.Write(w)
		return
	}
	if err := req.check(); err != nil {
		p.back(w, r, req, url.Values{"error": {err.code}, "error_description": {err.detail}})
		return
	}
	who, err := p.web.Current(r)
	if err != nil && errs.CodeOf(err) != errs.Unauthenticated {
		p.back(w, r, req, url.Values{"error": {"temporarily_unavailable"}})
		return
	}
	if err != nil || req.stale(who, p.people.Now()) {
		p.toLogin(w, r, req)
		return
	}
	if !req.client.admits(who.User.Role) {
		p.back(w, r, req, url.Values{"error": {"access_denied"}, "error_description": {"the user's role may not use this system"}})
		return
	}
	code, err := p.grant(r.Context(), req, who)
	if err != nil {
		p.back(w, r, req, url.Values{"error": {"temporarily_unavailable"}})
		return
	}
	p.back(w, r, req, url.Values{"code": {code}})
}

func (p *Provider) checkClient(r *http.Request, q url.Values) (request, error) {
	for name, values := range q {
		if len(values) > 1 {
			return request{}, errors.New("parameter " + name + " is there twice")
		}
	}
	c, _, err := p.client(r.Context(), q.Get("client_id"))
	if err != nil {
		return request{}, err
	}
	if c.Disabled || !c.redirects(q.Get("redirect_uri")) {
		return request{}, errors.New("the client is disabled, or the redirect URI is not one of its own")
	}
	return request{client: c, q: q, scopes: strings.Fields(q.Get("scope"))}, nil
}

// check finds what is wrong with the rest of the request; it may be told to the client.
func (req request) check() *oauthError {
	q := req.q
	switch {
	case q.Get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type must be code")
	case q.Get("response_mode") != "" && q.Get("response_mode") != "query":
		return refuse("invalid_request", "response_mode must be query")
	case q.Get("request") != "":
		return refuse("request_not_supported", "request objects are not supported")
	case q.Get("request_uri") != "":
		return refuse("request_uri_not_supported", "request objects are not supported")
	case !slices.Contains(req.scopes, "openid"):
		return refuse("invalid_scope", "scope must contain openid")
	case q.Get("code_challenge_method") != "S256" || !challengeForm.MatchString(q.Get("code_challenge")):
		return refuse("invalid_request", "PKCE with code_challenge_method=S256 is required")
	case len(q.Get("state")) > 1024 || len(q.Get("nonce")) > 512:
		return refuse("invalid_request", "state has at most 1024 bytes, nonce 512")
	}
	for _, s := range req.scopes {
		if !slices.Contains(scopes(), s) {
			return refuse("invalid_scope", "a scope is not known")
		}
	}
	if age := q.Get("max_age"); age != "" {
		if n, err := strconv.Atoi(age); err != nil || n < 0 {
			return refuse("invalid_request", "max_age is a number of seconds")
		}
	}
	prompts := strings.Fields(q.Get("prompt"))
	for _, prompt := range prompts {
		if prompt != "none" && prompt != "login" || prompt == "none" && len(prompts) > 1 {
			return refuse("invalid_request", "prompt is none or login")
		}
	}
	return nil
}

// stale reports a session that is not enough for this request: the client wants a fresher proof.
func (req request) stale(who identity.Who, now time.Time) bool {
	if strings.Contains(req.q.Get("prompt"), "login") {
		return true
	}
	age, err := strconv.Atoi(req.q.Get("max_age"))
	return err == nil && now.Sub(who.Session.Auth) > time.Duration(min(age, 1<<30))*time.Second
}

// toLogin has the person log in and come back. prompt=login is done with then: the client sees auth_time.
func (p *Provider) toLogin(w http.ResponseWriter, r *http.Request, req request) {
	if req.q.Get("prompt") == "none" {
		p.back(w, r, req, url.Values{"error": {"login_required"}})
		return
	}
	again := url.Values{}
	for name := range req.q {
		if name != "prompt" {
			again.Set(name, req.q.Get(name))
		}
	}
	if req.q.Get("max_age") == "0" {
		again.Del("max_age")
	}
	http.Redirect(w, r, "/login?return="+url.QueryEscape("/oidc/authorize?"+again.Encode()), http.StatusSeeOther)
}

// back leads to the client with an answer, the state it sent and who answers (RFC 9207).
func (p *Provider) back(w http.ResponseWriter, r *http.Request, req request, answer url.Values) {
	if s := req.q.Get("state"); s != "" && len(s) <= 1024 {
		answer.Set("state", s)
	}
	answer.Set("iss", p.issuer)
	to := req.q.Get("redirect_uri")
	mark := "?"
	if strings.Contains(to, "?") {
		mark = "&"
	}
	http.Redirect(w, r, to+mark+answer.Encode(), http.StatusSeeOther)
}
