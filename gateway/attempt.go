package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"penstock/errs"
	"penstock/stock"
)

// serveAttempt answers POST /v1/sales/{sale}/attempts.
func (g *Gateway) serveAttempt(c *Call) {
	key, err := IdempotencyKey(c.R.Header)
	if err == nil && !isJSON(c.R.Header["Content-Type"]) {
		err = errs.New(errs.UnsupportedMedia, "send the body as application/json")
	}
	if err != nil {
		c.Fail(err)
		return
	}
	buf := g.buffers.Get().(*buffer)
	defer g.buffers.Put(buf)
	items, err := g.items(c, buf)
	if err != nil {
		c.Fail(err)
		return
	}
	a := g.o.Attempts.Attempt(c.R.Context(), stock.Request{
		Sale: c.Sale, User: c.Who.User, Key: key, Items: items, Trace: c.Trace, Pass: c.Who.Admission.Entry, PassSKU: c.Who.Admission.SKU,
	})
	buf.out = g.answer(c, key, a, buf.out[:0])
}

func (g *Gateway) items(c *Call, buf *buffer) ([]stock.Item, error) {
	body, err := readBody(c.R, buf.in[:0], c.plan.rule.MaxBody)
	buf.in = body[:0]
	c.BytesIn = int64(len(body))
	if err != nil {
		return nil, err
	}
	return decodeItems(body, &c.one)
}

// isJSON accepts a missing content type and every JSON one.
func isJSON(v []string) bool {
	switch {
	case len(v) == 0 || len(v) == 1 && v[0] == "application/json":
		return true
	case len(v) > 1:
		return false
	}
	media, _, _ := strings.Cut(v[0], ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// readBody reads the whole body into b, growing it as bytes arrive and not as the client promises.
func readBody(r *http.Request, b []byte, limit int64) ([]byte, error) {
	if b == nil {
		b = make([]byte, 0, 512)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return b, tooLarge(limit)
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, bodyError(err)
		}
	}
}

// bodyError gives the failure to read a body its code.
func bodyError(err error) error {
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return errs.Wrap(errs.RequestTimeout, err, "the body did not arrive in time")
	}
	return errs.Wrap(errs.Invalid, err, "the body could not be read")
}

// ServeAttempt answers a call that came to the attempt path through a router.
func (g *Gateway) ServeAttempt(c *Call, sale string) {
	if err := AllowSale(c.Who, sale); err != nil {
		c.Fail(err)
		return
	}
	c.Sale = sale
	g.serveAttempt(c)
}
