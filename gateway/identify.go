package gateway

import "strconv"

const (
	traceparentLen = 55
	traceIDLen     = 32
	maxRequestID   = 128
	hexDigits      = "0123456789abcdef"
)

// identify gives the call a trace and a request id. A good traceparent is continued; else a trace begins, under a good
// X-Trace-Id if there is one. A sane X-Request-Id is taken over; else the trace id serves.
func (g *Gateway) identify(c *Call) error {
	in, ok := c.only("Traceparent")
	var text [traceparentLen]byte
	copy(text[:], "00-")
	if ok && goodTraceparent(in) {
		copy(text[3:], in[3:35])
		c.Parent = in
		c.Sampled = hexValue(in[54])&1 == 1
	} else {
		if id, ok := c.only("X-Trace-Id"); ok && goodTraceID(id) {
			copy(text[3:], id)
		} else {
			putHex(text[3:19], g.o.Random())
			putHex(text[19:35], g.o.Random()|1)
		}
		c.Sampled = g.sampled(text[19:35])
	}
	text[35] = '-'
	putHex(text[36:52], g.o.Random()|1)
	copy(text[52:], "-00")
	if c.Sampled {
		text[54] = '1'
	}
	c.Trace = string(text[:])
	c.TraceID = c.Trace[3:35]
	c.RequestID = c.TraceID
	if id, ok := c.only("X-Request-Id"); ok && saneRequestID(id) {
		c.RequestID = id
	}
	c.set("X-Trace-Id", c.TraceID)
	c.set("X-Request-Id", c.RequestID)
	return nil
}

// sampled decides by the last 16 digits of a trace id: the share of them that is below Sample.
func (g *Gateway) sampled(digits []byte) bool {
	var n uint64
	for _, c := range digits {
		n = n<<4 | uint64(hexValue(c))
	}
	return n>>1 < uint64(g.o.Sample*(1<<63))
}

func (g *Gateway) sayTrace(*Call) (string, error) { return "a request id and a trace are given", nil }

// goodTraceparent follows W3C Trace Context, level 1, with its rule for later versions.
func goodTraceparent(s string) bool {
	if len(s) < traceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return false
	}
	if len(s) > traceparentLen && (s[:2] == "00" || s[traceparentLen] != '-') {
		return false
	}
	return isHex(s[:2]) && isHex(s[3:35]) && isHex(s[36:52]) && isHex(s[53:55]) && !allZero(s[3:35]) && !allZero(s[36:52])
}

// goodTraceID accepts what a traceparent could carry: 32 lower-case hexadecimal digits that are not all zero.
func goodTraceID(s string) bool { return len(s) == traceIDLen && isHex(s) && !allZero(s) }

func isHex(s string) bool {
	for i := range len(s) {
		if hexValue(s[i]) < 0 {
			return false
		}
	}
	return true
}

func allZero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

func putHex(to []byte, n uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = hexDigits[n&15]
		n >>= 4
	}
}

// saneRequestID accepts what can stand in a log line and in a header without quoting.
func saneRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' && c != '/' {
			return false
		}
	}
	return true
}

func appendInt(to []byte, n int64) []byte { return strconv.AppendInt(to, n, 10) }
