package web

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
button{font:inherit;margin-top:1.2rem;padding:.5rem 1.2rem}.wrong{color:#a00}`

// Write sends the page with headers that let nothing else into it.
func (p Page) Write(w http.ResponseWriter) {
	nonce := rand.Text()
	h := w.Header()
	form := "'self'"
	if p.FormTo != "" {
		form += " " + p.FormTo
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; form-action "+form+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	w.WriteHeader(p.Status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"+
		"<title>"+Escape(p.Title)+"</title><style nonce=\""+nonce+"\">"+style+"</style></head><body><h1>"+Escape(p.Title)+"</h1>"+p.Body+"</body></html>\n")
}

// hidden is a hidden field of a form.
func hidden(name, value string) string {
	return `<input type="hidden" name="` + name + `" value="` + Escape(value) + `">`
}
