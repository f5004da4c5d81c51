package gateway

import (
	"bytes"
	"context"
	"io"
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

// dispatch is the end of the chain. Handlers behind the router find the whole body in memory, so that none of them has to
// tell a slow, a broken and a too long body apart.
func (g *Gateway) dispatch(c *Call) {
	if c.attempt {
		g.serveAttempt(c)
		return
	}
	r := c.R.WithContext(context.WithValue(c.R.Context(), callKey{}, c))
	if r.ContentLength != 0 && r.Body != nil {
		body, err := readBody(r, nil, g.o.MaxBody)
		c.BytesIn = int64(len(body))
		if err != nil {
			c.Fail(err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	c.R = r
	c.route.Handler.ServeHTTP(c, r)
}
