package api

import (
	"net/http"
	"strings"

	"penstock/docs/problems"
	"penstock/errs"
	"penstock/gateway"
	"penstock/internal/page"
)

// problemPage serves the page of a problem type: to browsers as HTML, to all others as Markdown.
func problemPage(w http.ResponseWriter, r *http.Request) {
	text, err := problems.Pages.ReadFile(r.PathValue("name") + ".md")
	if err != nil {
		fail(r, errs.New(errs.NotFound, "no such problem type"))
		return
	}
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") { // a browser: Markdown is meant to be read as it is
		page.Page{Title: gateway.Title(errs.Code(r.PathValue("name"))), Body: "<pre>" + page.Escape(string(text)) + "</pre>"}.Write(w)
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(text)
}
