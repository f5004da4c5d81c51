package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"penstock/errs"
	"penstock/identity"
	"penstock/internal/page"
)

const deviceCookieLife = 365 * 24 * time.Hour

// Handler answers GET and POST /login and POST /logout.
func (w *Web) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", w.show)
	mux.HandleFunc("POST /login", w.login)
	mux.HandleFunc("POST /logout", w.logout)
	return mux
}

// show asks for the password, for the code of a login that waits for it, or says who is logged in.
func (w *Web) show(rw http.ResponseWriter, r *http.Request) {
	back := r.URL.Query().Get("return")
	if back == "" {
		if who, err := w.Current(r); err == nil {
			page.Page{Title: "Logged in", Body: "<p>You are logged in as <b>" + page.Escape(who.User.Name) + "</b> (" + page.Escape(string(who.User.Role)) + ").</p>" +
				`<form method="post" action="/logout">` + w.Form(rw, r) + "<button>Log out</button></form>"}.Write(rw)
			return
		}
	}
	w.ask(rw, r, LocalPath(back), nil)
}

// ask shows the form; err is what was wrong with the last one.
func (w *Web) ask(rw http.ResponseWriter, r *http.Request, back string, err error) {
	p := page.Page{Title: "Log in", FormTo: w.o.FormTo(r.Context(), back)}
	if err != nil {
		p.Status = errs.CodeOf(err).Status()
		p.Body = `<p class="wrong" role="alert">` + page.Escape(said(rw, err)) + "</p>"
	}
	p.Body += `<form method="post" action="/login">` + w.Form(rw, r) + page.Hidden("return", back)
	if r.URL.Query().Get("again") == "" && w.people.Pending(r.Context(), cookie(r, sessionCookie)) {
		p.Body += page.Hidden("step", "code") +
			`<label for="code">Code of your authenticator app, or a recovery code</label><input id="code" name="code" autocomplete="one-time-code" required autofocus>` +
			`<button>Go on</button></form><p><a href="/login?again=1&amp;return=` + page.Escape(url.QueryEscape(back)) + `">Somebody else</a></p>`
	} else {
		p.Body += page.Hidden("step", "password") +
			`<label for="name">Name</label><input id="name" name="name" autocomplete="username" autocapitalize="none" required autofocus>` +
			`<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>` +
			"<button>Log in</button></form>"
	}
	p.Write(rw)
}

// said turns an error into words for a person, and tells the browser when to come back.
func said(rw http.ResponseWriter, err error) string {
	e, ok := errors.AsType[*errs.Error](err)
	if !ok || e.Code == errs.Internal {
		return "Something went wrong on our side."
	}
	if e.RetryAfter > 0 {
		s := strconv.Itoa(int((e.RetryAfter + time.Second - 1) / time.Second))
		rw.Header().Set("Retry-After", s)
		return e.Detail + " (in " + s + " s)"
	}
	return e.Detail
}

func (w *Web) login(rw http.ResponseWriter, r *http.Request) {
	if !w.OwnForm(r) {
		w.ask(rw, r, "/login", errs.New(errs.Forbidden, "the form did not come from this page, or is too old; please fill it in again"))
		return
	}
	back := LocalPath(r.PostForm.Get("return"))
	l, err := w.try(r)
	if err != nil && errors.Is(r.Context().Err(), context.Canceled) {
		return // the browser has left: nobody hears an answer, and nothing is wrong here
	}
	if err != nil {
		w.ask(rw, r, back, err)
		return
	}
	setCookie(rw, r, sessionCookie, l.Cookie, w.o.Life)
	to := back
	if l.Pending {
		to = "/login?return=" + url.QueryEscape(back)
	} else {
		setCookie(rw, r, deviceCookie, l.Device, deviceCookieLife)
		setCookie(rw, r, formCookie, "", 0) // a form shown before the login is worth nothing after it
	}
	rw.Header().Set("Cache-Control", "no-store")
	http.Redirect(rw, r, to, http.StatusSeeOther)
}

func (w *Web) try(r *http.Request) (identity.Login, error) {
	from := w.From(r)
	if r.PostForm.Get("step") == "code" {
		return w.people.Second(r.Context(), from, r.PostForm.Get("code"))
	}
	return w.people.Login(r.Context(), from, strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("password"))
}

func (w *Web) logout(rw http.ResponseWriter, r *http.Request) {
	if !w.OwnForm(r) {
		page.Page{Title: "Log out", Status: http.StatusForbidden, Body: `<p>The form did not come from this page. <a href="/login">Try again</a>.</p>`}.Write(rw)
		return
	}
	if err := w.people.Logout(context.WithoutCancel(r.Context()), cookie(r, sessionCookie)); err != nil {
		page.Page{Title: "Log out", Status: errs.CodeOf(err).Status(), Body: "<p>" + page.Escape(said(rw, err)) + "</p>"}.Write(rw)
		return
	}
	w.ClearSession(rw, r)
	rw.Header().Set("Cache-Control", "no-store")
	http.Redirect(rw, r, "/login", http.StatusSeeOther)
}
