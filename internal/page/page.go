// Package page is how this server shows HTML to people: one place for escaping, for the nonce of an answer and for the headers that let
// nothing else into a page.
//
// It promises that text which went through [Escape] can end neither a text nor a quoted attribute, and that a page sent with [Guard]'s
// headers runs no script, loads nothing, is framed by nobody and is kept by nobody; its one style sheet is named by a nonce that is
// new for each answer. What a caller puts into a body without Escape is his own promise. Safe for concurrent use.
package page

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
)

// Escape makes text safe between tags and inside a quoted attribute. Bytes that are no UTF-8 and control characters become U+FFFD.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&#34;")
		case r == '\'':
			b.WriteString("&#39;")
		case r == '`':
			b.WriteString("&#96;")
		case r < ' ' && r != '\n' && r != '\t' || r == 0x7f:
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Page is one answer for a person. Body is HTML that the caller has escaped.
type Page struct {
	Title, Body string
	Status      int
	// FormTo is an origin, besides this server's own, that the answer to a form may lead to.
	FormTo string
}

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:12vh auto;padding:0 1rem}
label{display:block;margin:1rem 0 .2rem}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}
button{font:inherit;margin-top:1.2rem;padding:.5rem 1.2rem}.wrong{color:#a00}pre{white-space:pre-wrap}`

// Guard sets the headers of a page and returns the nonce that its style element must carry. formTo is an origin, besides this
// server's own, that the answer to a form may lead to, or "".
func Guard(h http.Header, formTo string) (nonce string) {
	nonce = rand.Text()
	form := "'self'"
	if formTo != "" {
		form += " " + formTo
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; form-action "+form+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	return nonce
}

// Write sends the page.
func (p Page) Write(w http.ResponseWriter) {
	nonce := Guard(w.Header(), p.FormTo)
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	w.WriteHeader(p.Status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"+
		"<title>"+Escape(p.Title)+"</title><style nonce=\""+nonce+"\">"+style+"</style></head><body><h1>"+Escape(p.Title)+"</h1>"+p.Body+"</body></html>\n")
}

// Hidden is a hidden field of a form.
func Hidden(name, value string) string {
	return `<input type="hidden" name="` + Escape(name) + `" value="` + Escape(value) + `">`
}
