package gateway

import (
	"context"
	"net/http"
	"strings"
)

const (
	salesPrefix    = "/v1/sales/"
	attemptsSuffix = "/attempts"
)

// attemptPath recognises the attempt path without a router: POST, three plain segments, nothing percent-encoded.
func attemptPath(r *http.Request) (sale string, ok bool) {
	p := r.URL.Path
	if r.Method != http.MethodPost || r.URL.RawPath != "" || len(p) <= len(salesPrefix)+len(attemptsSuffix) ||
		!strings.HasPrefix(p, salesPrefix) || !strings.HasSuffix(p, attemptsSuffix) {
		return "", false
	}
	sale = p[len(salesPrefix) : len(p)-len(attemptsSuffix)]
	if strings.IndexByte(sale, '/') >= 0 || sale == "." || sale == ".." {
		return "", false
	}
	return sale, true
}

// route finds out what is asked and who may ask it.
func (g *Gateway) route(next Handler) Handler {
	return func(c *Call) {
		if c.attempt {
			c.route.Access, c.Route = ByUser, AttemptRoute
		} else {
			c.route = g.router.Route(c.R)
			c.Route = c.route.Name
		}
		next(c)
	}
}

// dispatch is the end of the chain.
func (g *Gateway) dispatch(c *Call) {
	if c.attempt {
		g.serveAttempt(c)
		return
	}
	c.route.Handler.ServeHTTP(c, c.R.WithContext(context.WithValue(c.R.Context(), callKey{}, c)))
}
