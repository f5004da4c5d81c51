package gateway

import "penstock/errs"

// checkBody refuses what is too large or encoded, before anything reads it. A body of unknown length is cut off at the limit
// while it is read; its connection is closed after the answer, because net/http does not tell whether a length came with the
// chunks, and RFC 9112 wants nothing more to be read from such a connection.
func (g *Gateway) checkBody(c *Call) error {
	if g.o.Drain.Begun() || len(c.R.TransferEncoding) > 0 {
		c.set("Connection", "close")
	}
	c.BytesIn = max(0, c.R.ContentLength)
	if limit := c.plan.rule.MaxBody; c.R.ContentLength > limit {
		return tooLarge(limit)
	}
	if enc := c.R.Header["Content-Encoding"]; len(enc) > 0 && (len(enc) > 1 || enc[0] != "identity") {
		return errs.New(errs.UnsupportedMedia, "send the body without content encoding")
	}
	return nil
}

func tooLarge(limit int64) *errs.Error {
	return errs.New(errs.TooLarge, "the body is longer than %d bytes", limit)
}
