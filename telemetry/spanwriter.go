package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// spanQueue is how many finished spans may wait to be written; further ones are dropped rather than slow a request down.
const spanQueue = 1024

// spanWriter is the processor that keeps sampled and failed spans and writes them as JSON lines from one goroutine.
type spanWriter struct {
	w       io.Writer
	dropped func()
	done    chan struct{}

	mu     sync.Mutex // guards closing queue against sends
	queue  chan []byte
	closed bool
}

func newSpanWriter(w io.Writer, dropped func()) *spanWriter {
	if dropped == nil {
		dropped = func() {}
	}
	s := &spanWriter{w: w, dropped: dropped, queue: make(chan []byte, spanQueue), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spanWriter) run() {
	defer close(s.done)
	for line := range s.queue {
		if _, err := s.w.Write(line); err != nil {
			s.dropped()
		}
	}
}

// OnStart implements sdk.SpanProcessor.
func (s *spanWriter) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (s *spanWriter) OnEnd(span sdk.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() && span.Status().Code != codes.Error {
		return
	}
	line, err := json.Marshal(spanLine(span))
	if err != nil {
		s.dropped()
		return
	}
	line = append(line, '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.dropped()
		return
	}
	select {
	case s.queue <- line:
	default:
		s.dropped()
	}
}

// Shutdown implements sdk.SpanProcessor.
func (s *spanWriter) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ForceFlush implements sdk.SpanProcessor. Spans are written as they end; there is nothing to force.
func (s *spanWriter) ForceFlush(context.Context) error { return nil }

type spanRecord struct {
	At         string         `json:"@timestamp"`
	Level      string         `json:"level"`
	Message    string         `json:"message"`
	TraceID    string         `json:"traceId"`
	SpanID     string         `json:"spanId"`
	ParentID   string         `json:"parentSpanId,omitempty"`
	Kind       string         `json:"spanKind"`
	DurationMS float64        `json:"duration_ms"`
	Error      string         `json:"error,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

func spanLine(span sdk.ReadOnlySpan) spanRecord {
	r := spanRecord{
		At: span.StartTime().UTC().Format("2006-01-02T15:04:05.000000Z"), Level: "trace", Message: "span " + span.Name(),
		TraceID: span.SpanContext().TraceID().String(), SpanID: span.SpanContext().SpanID().String(),
		Kind: span.SpanKind().String(), DurationMS: float64(span.EndTime().Sub(span.StartTime())/time.Microsecond) / 1000,
	}
	if span.Parent().SpanID().IsValid() {
		r.ParentID = span.Parent().SpanID().String()
	}
	if span.Status().Code == codes.Error {
		r.Level, r.Error = "error", maskText(span.Status().Description)
	}
	if attrs := span.Attributes(); len(attrs) > 0 {
		r.Attributes = make(map[string]any, len(attrs))
		for _, a := range attrs {
			r.Attributes[string(a.Key)] = attributeValue(a)
		}
	}
	return r
}

func attributeValue(a attribute.KeyValue) any {
	switch v := a.Value.AsInterface().(type) {
	case string:
		if secretKey(string(a.Key)) {
			return masked
		}
		return maskText(v)
	default:
		if secretKey(string(a.Key)) {
			return masked
		}
		return v
	}
}
