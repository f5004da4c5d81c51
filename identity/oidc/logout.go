package oidc

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"penstock/internal/page"
)

// endSession logs out (RP-Initiated Logout 1.0). An ID token of this very session shows that the client speaks for the person; else
// the person is asked, so that no other site can log anybody out. The way back is one that was registered, or none.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		page.Page{Title: "Log out", Status: http.StatusBadRequest, Body: "<p>The request cannot be read.</p>"}.Write(w)
		return
	}
	q := r.Form
	hint, err := p.ownToken(r.Context(), q.Get("id_token_hint"))
	hinted := err == nil && q.Get("id_token_hint") != ""
	client, _ := hint["aud"].(string)
	if !hinted {
		client = q.Get("client_id")
	}
	to := p.afterLogout(r.Context(), client, q)
	who, err := p.web.Current(r)
	if err != nil { // nobody is logged in
		p.loggedOut(w, r, to)
		return
	}
	same := hinted && hint["sub"] == who.User.Name && hint["sid"] == sid(grant{session: who.Session.ID})
	if !same && !(r.Method == http.MethodPost && p.web.OwnForm(r)) {
		body := "<p>Log <b>" + page.Escape(who.User.Name) + `</b> out?</p><form method="post" action="/oidc/end-session">` + p.web.Form(w, r)
		for _, name := range []string{"client_id", "id_token_hint", "post_logout_redirect_uri", "state"} {
			body += `<input type="hidden" name="` + name + `" value="` + page.Escape(q.Get(name)) + `">`
		}
		page.Page{Title: "Log out", Body: body + "<button>Log out</button></form>", FormTo: origin(to)}.Write(w)
		return
	}
	if err := p.people.Logout(context.WithoutCancel(r.Context()), p.web.SessionSecret(r)); err != nil {
		page.Page{Title: "Log out", Status: http.StatusServiceUnavailable, Body: "<p>The logout did not work just now. Please try again.</p>"}.Write(w)
		return
	}
	p.web.ClearSession(w, r)
	p.loggedOut(w, r, to)
}

// afterLogout is where the browser goes, or "".
func (p *Provider) afterLogout(ctx context.Context, client string, q url.Values) string {
	to := q.Get("post_logout_redirect_uri")
	c, err := p.Client(ctx, client)
	if err != nil || to == "" || !slices.Contains(c.PostLogout, to) {
		return ""
	}
	if s := q.Get("state"); s != "" && len(s) <= 1024 {
		mark := "?"
		if strings.Contains(to, "?") {
			mark = "&"
		}
		to += mark + url.Values{"state": {s}}.Encode()
	}
	return to
}

func (p *Provider) loggedOut(w http.ResponseWriter, r *http.Request, to string) {
	if to == "" {
		page.Page{Title: "Logged out", Body: `<p>You are logged out. <a href="/login">Log in</a></p>`}.Write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func origin(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
