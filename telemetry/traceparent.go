package telemetry

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// Span is the identity of one piece of work in a trace. It is a value: making, copying and formatting it costs no more than
// its string. The zero Span is no span.
type Span struct {
	Trace   [16]byte
	ID      [8]byte
	Parent  [8]byte // zero for the first span of a trace
	Sampled bool
}

// traceparentLen is the length of version 00: 00-<32>-<16>-<2>.
const traceparentLen = 55

// ParseTraceparent reads a W3C traceparent header. The Span it returns is the caller's: its ID is the parent of what comes
// next. It accepts later versions as the recommendation demands, and refuses ids of only zeros and capital letters.
func ParseTraceparent(s string) (Span, bool) {
	var p Span
	if len(s) < traceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return Span{}, false
	}
	if len(s) > traceparentLen && (s[:2] == "00" || s[55] != '-') {
		return Span{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], s[:2]) || !unhex(p.Trace[:], s[3:35]) || !unhex(p.ID[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return Span{}, false
	}
	if p.Trace == [16]byte{} || p.ID == [8]byte{} {
		return Span{}, false
	}
	p.Sampled = flags[0]&1 == 1
	return p, true
}

// Served returns the span of a call from its own traceparent and that of its caller, which is "" for a trace that begins with
// it. Both were found good before; it is no span when call was not.
func Served(call, caller string) Span {
	s, _ := ParseTraceparent(call)
	if p, ok := ParseTraceparent(caller); ok && p.Trace == s.Trace {
		s.Parent = p.ID
	}
	return s
}

func unhex(dst []byte, s string) bool {
	for i := range dst {
		hi, lo := digit(s[2*i]), digit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// AppendTraceparent appends the header that tells the next one that s is its parent. It does not allocate when dst has room
// for 55 bytes.
func (s Span) AppendTraceparent(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, s.Trace[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, s.ID[:])
	if s.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}

// Traceparent returns the header, or "" for no span. It is what travels in messages (driver.Attempt.Trace).
func (s Span) Traceparent() string {
	if s.Trace == [16]byte{} {
		return ""
	}
	var buf [traceparentLen]byte
	return string(s.AppendTraceparent(buf[:0]))
}

// TraceID returns the 32 digits that x-trace-id answers with, or "" for no span.
func (s Span) TraceID() string {
	if s.Trace == [16]byte{} {
		return ""
	}
	var buf [32]byte
	hex.Encode(buf[:], s.Trace[:])
	return string(buf[:])
}

// Context returns a context in which s is the current span: log lines carry its ids and further spans become its children.
func (s Span) Context(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, s.spanContext(s.ID))
}

func (s Span) spanContext(id [8]byte) trace.SpanContext {
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: s.Trace, SpanID: id, TraceFlags: flags.WithSampled(s.Sampled), Remote: true})
}

// SpanOf returns the current span of a context, or the zero Span.
func SpanOf(ctx context.Context) Span {
	sc := trace.SpanContextFromContext(ctx)
	return Span{Trace: sc.TraceID(), ID: sc.SpanID(), Sampled: sc.IsSampled()}
}
