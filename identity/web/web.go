package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"penstock/auth"
	"penstock/errs"
	"penstock/identity"
	"penstock/internal/page"
)

// Options tunes Web. The zero value works.
type Options struct {
	// Origins are those that a browser may name besides the one it called, such as that of a proxy that changes the host.
	Origins []string
	// Client tells the address of a request; nil means the peer's.
	Client func(*http.Request) netip.Addr
	// FormTo says where a login that leads to a path may lead on to: an origin, or "".
	FormTo func(ctx context.Context, path string) string
	// Life is how long the session cookie is kept; 0 means 12 hours.
	Life time.Duration
}

// Web is the login for browsers.
type Web struct {
	people *identity.People
	o      Options
	cross  *http.CrossOriginProtection
}

// New returns the pages over the people.
func New(people *identity.People, o Options) (*Web, error) {
	w := &Web{people: people, o: o, cross: http.NewCrossOriginProtection()}
	for _, origin := range o.Origins {
		if err := w.cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	if w.o.Client == nil {
		w.o.Client = peer
	}
	if w.o.FormTo == nil {
		w.o.FormTo = func(context.Context, string) string { return "" }
	}
	if w.o.Life == 0 {
		w.o.Life = 12 * time.Hour
	}
	return w, nil
}

func peer(r *http.Request) netip.Addr {
	p, _ := netip.ParseAddrPort(r.RemoteAddr)
	return p.Addr().Unmap()
}

// Current returns who the browser's session speaks for. Errors: unauthenticated, reduced-capacity.
func (w *Web) Current(r *http.Request) (identity.Who, error) {
	return w.people.Check(r.Context(), cookie(r, sessionCookie))
}

// CSRFHeader carries the token of [Web.Token] with calls that change something.
const CSRFHeader = "X-Csrf-Token"

// Token is what a page of this server sends in [CSRFHeader], for browsers too old to say where a call comes from.
func (w *Web) Token(session string) string { return w.people.Vault().Sign("csrf", session) }

// Session returns who calls by a session cookie; false means that there is none. A call that changes something must come from
// a page of this server: the browser says so in Sec-Fetch-Site or Origin, or the call carries the token.
func (w *Web) Session(r *http.Request) (auth.Identity, bool, error) {
	secret := cookie(r, sessionCookie)
	if secret == "" {
		return auth.Identity{}, false, nil
	}
	who, err := w.people.Check(r.Context(), secret)
	if err != nil {
		return auth.Identity{}, true, err
	}
	if err := w.ownPage(r, who.Session.ID); err != nil {
		return auth.Identity{}, true, err
	}
	return auth.Identity{User: who.User.Name, Role: string(who.User.Role), Expires: who.Session.Ends}, true, nil
}

func (w *Web) ownPage(r *http.Request, session string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if w.cross.Check(r) != nil {
		return errs.New(errs.Forbidden, "the call comes from a page of another site")
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" &&
		!w.people.Vault().Verify("csrf", session, r.Header.Get(CSRFHeader)) {
		return errs.New(errs.Forbidden, "send the header %s with the token of GET /admin/v1/me", CSRFHeader)
	}
	return nil
}

// From says where a request comes from, with the cookies it brought.
func (w *Web) From(r *http.Request) identity.From {
	return identity.From{Address: w.o.Client(r), Agent: r.UserAgent(), Device: cookie(r, deviceCookie), Session: cookie(r, sessionCookie)}
}

// LocalPath returns path if it is one of this server, else "/login". Browsers read a backslash as a slash and skip control
// characters, so both are refused.
func LocalPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || len(path) > 4096 || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }) {
		return "/login"
	}
	return path
}

// form returns the form token of the browser, making its cookie if there is none.
func (w *Web) form(rw http.ResponseWriter, r *http.Request) string {
	secret := cookie(r, formCookie)
	if len(secret) != len(rand.Text()) {
		secret = rand.Text()
		setCookie(rw, r, formCookie, secret, w.o.Life)
	}
	return w.people.Vault().Sign("form", secret)
}

// Form returns the hidden field that makes a form of this server's pages acceptable to [Web.OwnForm].
func (w *Web) Form(rw http.ResponseWriter, r *http.Request) string {
	return page.Hidden("csrf", w.form(rw, r))
}

// OwnForm reports a form that was sent from a page of this server. It has parsed the form then.
func (w *Web) OwnForm(r *http.Request) bool {
	if w.cross.Check(r) != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.ParseForm() != nil {
		return false
	}
	secret := cookie(r, formCookie)
	return secret != "" && w.people.Vault().Verify("form", secret, r.PostForm.Get("csrf"))
}

// ClearSession makes the browser forget its session.
func (w *Web) ClearSession(rw http.ResponseWriter, r *http.Request) {
	setCookie(rw, r, sessionCookie, "", 0)
}

// SessionSecret returns the secret of the browser's session, or "".
func (w *Web) SessionSecret(r *http.Request) string { return cookie(r, sessionCookie) }
