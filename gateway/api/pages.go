package api

import (
	"net/http"

	"penstock/docs/problems"
	"penstock/errs"
)

// problemPage serves the page of a problem type, as Markdown.
func problemPage(w http.ResponseWriter, r *http.Request) {
	page, err := problems.Pages.ReadFile(r.PathValue("name") + ".md")
	if err != nil {
		fail(r, errs.New(errs.NotFound, "no such problem type"))
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(page)
}
