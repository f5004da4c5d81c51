package api

import (
	"net/http"

	"penstock/errs"
	"penstock/gateway"
)

// Face is the pages of a listener; *web.Face is one.
type Face interface {
	// Has reports whether a path, in its escaped form, is one of the pages or files.
	Has(escaped string) bool
	http.Handler
}

// face makes the pages answer the paths that they have. Their one route has a name that policies and metrics know.
func (s *routes) face(f Face, name string) {
	if f == nil {
		return
	}
	s.access[name] = gateway.ByAnyone
	s.pages = func(r *http.Request) (gateway.Route, bool) {
		if !f.Has(r.URL.EscapedPath()) {
			return gateway.Route{}, false
		}
		found := gateway.Route{Name: name, Access: gateway.ByAnyone, Handler: f}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			found.Handler = http.HandlerFunc(readOnly)
		}
		return found, true
	}
}

func readOnly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	fail(r, errs.New(errs.MethodNotAllowed, "allowed here: GET, HEAD"))
}
