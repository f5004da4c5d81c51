package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"penstock/errs"
	"penstock/gateway"
)

// routes is the router of one listener: a standard mux and who may use each of its patterns.
type routes struct {
	mux    *http.ServeMux
	access map[string]gateway.Access
	// unmatched is who may learn that a path does not exist.
	unmatched gateway.Access
	// pages finds the route of a path of the listener's pages; nil means that it has none.
	pages func(r *http.Request) (gateway.Route, bool)
}

func newRoutes(unmatched gateway.Access) *routes {
	return &routes{mux: http.NewServeMux(), access: map[string]gateway.Access{}, unmatched: unmatched}
}

// handle adds a plain handler.
func (s *routes) handle(pattern string, who gateway.Access, h http.HandlerFunc) {
	s.access[pattern] = who
	s.mux.HandleFunc(pattern, h)
}

// Route finds the handler. The mux is never let to redirect: a path that is not in its simplest form does not exist.
func (s *routes) Route(r *http.Request) gateway.Route {
	if s.pages != nil {
		if found, ok := s.pages(r); ok {
			return found
		}
	}
	if !simple(r.URL.EscapedPath()) {
		return gateway.Route{Name: "unmatched", Access: s.unmatched, Handler: http.HandlerFunc(notFound)}
	}
	h, pattern := s.mux.Handler(r)
	if pattern == "" {
		return gateway.Route{Name: "unmatched", Access: s.unmatched, Handler: refusal(h)}
	}
	return gateway.Route{Name: pattern, Access: s.access[pattern], Handler: s.mux}
}

// simple reports a path that starts with a slash and has no empty and no dot segment.
func simple(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func notFound(w http.ResponseWriter, r *http.Request) {
	fail(r, errs.New(errs.NotFound, "no such path"))
}

func fail(r *http.Request, err error) { gateway.FromContext(r.Context()).Fail(err) }

// refusal says in a problem what the mux has to say in plain text.
func refusal(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard := &listener{header: http.Header{}}
		h.ServeHTTP(heard, r)
		if heard.status != http.StatusMethodNotAllowed {
			notFound(w, r)
			return
		}
		w.Header().Set("Allow", heard.header.Get("Allow"))
		fail(r, errs.New(errs.MethodNotAllowed, "allowed here: %s", heard.header.Get("Allow")))
	})
}

// listener remembers status and header of an answer and lets the body go.
type listener struct {
	header http.Header
	status int
}

func (l *listener) Header() http.Header         { return l.header }
func (l *listener) WriteHeader(status int)      { l.status = status }
func (l *listener) Write(p []byte) (int, error) { return len(p), nil }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
