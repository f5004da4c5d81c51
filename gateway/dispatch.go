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

// route finds out what is asked, who may ask it, and how the call passes the chain.
func (g *Gateway) route(c *Call, now *plans) {
	if c.Sale, c.attempt = attemptPath(c.R); c.attempt && g.o.Attempts != nil {
		c.plan, c.Route = now.attempt, AttemptRoute
		return
	}
	c.attempt = false
	found := g.router.Route(c.R)
	if now.up != nil && found.Name == Unmatched {
		if elsewhere, ok := now.up.Match(c.R); ok {
			found, c.elsewhere = elsewhere, true
		}
	}
	c.Route, c.handler, c.plan = found.Name, found.Handler, now.named(found)
}

// dispatch is the end of the chain. Handlers behind the router find the whole body in memory, so that none of them has to
// tell a slow, a broken and a too long body apart.
func (g *Gateway) dispatch(c *Call) {
	if c.attempt {
		g.serveAttempt(c)
		return
	}
	if err := c.buffer(); err != nil {
		c.Fail(err)
		return
	}
	c.R = c.R.WithContext(context.WithValue(c.R.Context(), callKey{}, c))
	c.handler.ServeHTTP(c, c.R)
}

// buffer brings the body into memory, once. Whoever read it already may call again to read it from its beginning.
func (c *Call) buffer() error {
	if c.body == nil {
		if c.R.ContentLength == 0 || c.R.Body == nil {
			return nil
		}
		body, err := readBody(c.R, nil, c.plan.rule.MaxBody)
		c.BytesIn = int64(len(body))
		if err != nil {
			return err
		}
		c.body = body
	}
	c.R.Body = io.NopCloser(bytes.NewReader(c.body))
	return nil
}
