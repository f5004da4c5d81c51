package gateway

import (
	"context"
	"net/http"

	"penstock/auth"
	"penstock/limit"
	"penstock/stock"
)

// Call is one request on its way through the chain, and the writer of its answer. It belongs to the goroutine that serves the
// request; nothing may use it after the handler has returned.
type Call struct {
	// W is the connection's writer. Handlers write to the Call, which counts.
	W http.ResponseWriter
	R *http.Request
	Record
	// Who is the caller; zero on routes that anyone may use.
	Who auth.Identity

	g       *Gateway
	attempt bool
	asking  bool // explain asks what would happen
	// elsewhere says that another service answers.
	elsewhere bool
	place     func()      // gives the place of the call back; nil without one
	judge     func(error) // tells the breaker how the call ended; nil once that is done
	plan      *plan
	handler   http.Handler // nil on the attempt path
	body      []byte       // once it was read beside the attempt path
	one       [1]stock.Item
	quotas    [2]limit.Quota
	values    [8]string
	used      int
}

type callKey struct{}

// FromContext returns the call that a request's context belongs to; nil outside the gateway.
func FromContext(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Header returns the header of the answer.
func (c *Call) Header() http.Header { return c.W.Header() }

// WriteHeader sends the status, once.
func (c *Call) WriteHeader(status int) {
	if status >= 200 && c.Status != 0 {
		return
	}
	if status >= 200 {
		c.Status = status
		if c.elsewhere {
			c.yield()
		}
	}
	c.W.WriteHeader(status)
}

// Write sends a part of the body.
func (c *Call) Write(p []byte) (int, error) {
	if c.Status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	n, err := c.W.Write(p)
	c.BytesOut += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (c *Call) Unwrap() http.ResponseWriter { return c.W }

// set puts one value into the header without allocating a slice for it. name must be in canonical form.
func (c *Call) set(name, value string) {
	if c.used == len(c.values) {
		c.W.Header()[name] = []string{value}
		return
	}
	i := c.used
	c.used++
	c.values[i] = value
	c.W.Header()[name] = c.values[i : i+1 : i+1]
}

// only returns the value of a request header that may occur once; ok is false when it is missing or occurs more often. name
// must be in canonical form.
func (c *Call) only(name string) (value string, ok bool) {
	if v := c.R.Header[name]; len(v) == 1 {
		return v[0], true
	}
	return "", false
}
