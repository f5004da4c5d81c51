package telemetry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracingOptions are what [NewTracing] may be told. The zero value works: ids are made and passed on, nothing is recorded.
type TracingOptions struct {
	// Sample is the share, 0 to 1, of traces begun here that leave spans. A caller's own decision is respected.
	Sample float64
	// Export takes spans as JSON lines, one Write each; nil means that none are recorded.
	Export io.Writer
	// Dropped is called for each span that could not be written in time; nil means that nobody counts.
	Dropped func()
	// Rand makes ids; nil means the machine's generator. Safe for concurrent use.
	Rand func() uint64
}

// Validate names the field that is wrong.
func (o TracingOptions) Validate() error {
	if !(o.Sample >= 0 && o.Sample <= 1) {
		return fmt.Errorf("tracing: Sample %v is not a share from 0 to 1", o.Sample)
	}
	return nil
}

// Tracing makes and records the spans of one Penstock.
//
// The request path works with [Span] values alone: [Served] and [Tracing.End] when a request is answered, and only a sampled or
// failed one costs a recorded span. Elsewhere use [Tracing.Tracer]. Sampling is decided at the head of
// a trace, by its id; a span that ends in an error is kept whatever was decided (its siblings are not: they may be gone).
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	writer   *spanWriter
	random   func() uint64
	bound    uint64 // trace ids whose low 63 bits are below it are sampled
}

// NewTracing returns the tracing of one Penstock. With an Export, a goroutine runs until Stop.
func NewTracing(o TracingOptions) (*Tracing, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t := &Tracing{random: o.Rand, bound: uint64(o.Sample * (1 << 63))}
	if t.random == nil {
		t.random = rand.Uint64
	}
	// The provider's limits and resource come from here alone, not from the OTEL_ environment.
	opts := []sdk.TracerProviderOption{
		sdk.WithResource(resource.Empty()),
		sdk.WithIDGenerator(ids{t}),
		sdk.WithSampler(sdk.NeverSample()),
		sdk.WithRawSpanLimits(sdk.SpanLimits{AttributeValueLengthLimit: 1024, AttributeCountLimit: 64, EventCountLimit: 32, LinkCountLimit: 32, AttributePerEventCountLimit: 16, AttributePerLinkCountLimit: 16}),
	}
	if o.Export != nil {
		t.writer = newSpanWriter(o.Export, o.Dropped)
		opts = append(opts, sdk.WithSpanProcessor(t.writer), sdk.WithSampler(headSampler{t}))
	}
	t.provider = sdk.NewTracerProvider(opts...)
	t.tracer = t.provider.Tracer("penstock")
	return t, nil
}

// Tracer returns the tracer for spans inside a request or a background part.
func (t *Tracing) Tracer() trace.Tracer { return t.tracer }

// Stop writes what is waiting, as far as ctx allows, and ends the writer. Idempotent.
func (t *Tracing) Stop(ctx context.Context) error {
	var err error
	if t.writer != nil {
		err = t.writer.Shutdown(ctx) // the provider would not pass an ended context on
	}
	return errors.Join(err, t.provider.Shutdown(ctx))
}

// Recorded is what [Tracing.End] records of a span.
type Recorded struct {
	Name       string // a template, not a path with ids
	Start, End time.Time
	Kind       trace.SpanKind
	// Err makes the span one to keep. A refusal is not an error.
	Err   error
	Attrs []attribute.KeyValue
}

// Keep reports whether a span will be recorded, so that attributes need only be made when it will.
func (t *Tracing) Keep(s Span, err error) bool { return t.writer != nil && (s.Sampled || err != nil) }

// End records s when it is sampled or failed.
func (t *Tracing) End(s Span, r Recorded) {
	if !t.Keep(s, r.Err) {
		return
	}
	ctx := context.WithValue(context.Background(), presetKey{}, s)
	if s.Parent != [8]byte{} {
		ctx = trace.ContextWithRemoteSpanContext(ctx, s.spanContext(s.Parent))
	}
	_, span := t.tracer.Start(ctx, r.Name, trace.WithTimestamp(r.Start), trace.WithSpanKind(r.Kind), trace.WithAttributes(r.Attrs...))
	if r.Err != nil {
		span.SetStatus(codes.Error, r.Err.Error())
	}
	span.End(trace.WithTimestamp(r.End))
}

func (t *Tracing) sampled(id [16]byte) bool { return binary.BigEndian.Uint64(id[8:])>>1 < t.bound }

func (t *Tracing) traceID() (id [16]byte) {
	for id == [16]byte{} {
		binary.BigEndian.PutUint64(id[:8], t.random())
		binary.BigEndian.PutUint64(id[8:], t.random())
	}
	return id
}

func (t *Tracing) spanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], t.random())
	}
	return id
}

// presetKey carries a Span whose ids exist before the SDK records it.
type presetKey struct{}

type ids struct{ t *Tracing }

// NewIDs implements sdk.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if s, ok := ctx.Value(presetKey{}).(Span); ok {
		return s.Trace, s.ID
	}
	return g.t.traceID(), g.t.spanID()
}

// NewSpanID implements sdk.IDGenerator.
func (g ids) NewSpanID(ctx context.Context, id trace.TraceID) trace.SpanID {
	if s, ok := ctx.Value(presetKey{}).(Span); ok && s.Trace == id {
		return s.ID
	}
	return g.t.spanID()
}

// headSampler follows the parent, else the trace id. What is not sampled is still recorded until its end, which may be an error.
type headSampler struct{ t *Tracing }

// ShouldSample implements sdk.Sampler.
func (h headSampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	s, preset := p.ParentContext.Value(presetKey{}).(Span)
	var sampled bool
	switch {
	case preset:
		sampled = s.Sampled
	case parent.IsValid():
		sampled = parent.IsSampled()
	default:
		sampled = h.t.sampled(p.TraceID)
	}
	decision := sdk.RecordOnly
	if sampled {
		decision = sdk.RecordAndSample
	}
	return sdk.SamplingResult{Decision: decision, Tracestate: parent.TraceState()}
}

// Description implements sdk.Sampler.
func (h headSampler) Description() string { return "ParentBasedRatioErrorsKept" }
