package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	quietParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// spansOf runs f with a tracing and returns what it exported.
func spansOf(t *testing.T, sample float64, f func(*Tracing)) []spanRecord {
	t.Helper()
	var b bytes.Buffer
	tr, err := NewTracing(TracingOptions{Sample: sample, Export: &b})
	if err != nil {
		t.Fatal(err)
	}
	f(tr)
	if err := tr.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []spanRecord
	for d := json.NewDecoder(&b); d.More(); {
		var r spanRecord
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// Only the form that the recommendation allows is read, and what is read is written back the same.
func TestTraceparentForms(t *testing.T) {
	t.Parallel()
	for _, good := range []string{sampledParent, quietParent} {
		s, ok := ParseTraceparent(good)
		if !ok || s.Traceparent() != good || s.TraceID() != good[3:35] {
			t.Errorf("%s: %v %v", good, s, ok)
		}
	}
	if s, ok := ParseTraceparent("cc" + sampledParent[2:53] + "09-what-comes-later"); !ok || !s.Sampled {
		t.Error("a later version is refused")
	}
	for _, bad := range []string{"", "00", sampledParent[:54], sampledParent + "-x", "ff" + sampledParent[2:], strings.ToUpper(sampledParent),
		strings.Replace(sampledParent, "0af7651916cd43dd8448eb211c80319c", strings.Repeat("0", 32), 1),
		strings.Replace(sampledParent, "b7ad6b7169203331", strings.Repeat("0", 16), 1), strings.Replace(sampledParent, "-", "_", 1), "0x" + sampledParent[2:]} {
		if _, ok := ParseTraceparent(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
	if (Span{}).Traceparent() != "" || (Span{}).TraceID() != "" {
		t.Error("no span has a header")
	}
}

// No header makes the parser panic, and whatever it takes in version 00 comes back as it was, flags reduced to sampled.
func FuzzTraceparent(f *testing.F) {
	f.Add(sampledParent)
	f.Add("00-")
	f.Fuzz(func(t *testing.T, in string) {
		if s, ok := ParseTraceparent(in); ok && s.Traceparent()[3:53] != in[3:53] {
			t.Fatalf("%q became %q", in, s.Traceparent())
		}
	})
}

// call is a call that continues a trace, or begins one where parent is "".
func call(parent string) Span {
	if parent == "" {
		return Served("00-"+strings.Repeat("1", 32)+"-"+strings.Repeat("2", 16)+"-00", "")
	}
	return Served(parent[:36]+strings.Repeat("2", 16)+parent[52:], parent)
}

// The span of a call is the one that was handed on, a child of the caller's; a caller of another trace is no parent.
func TestServed(t *testing.T) {
	t.Parallel()
	s := call(sampledParent)
	if s.TraceID() != sampledParent[3:35] || !s.Sampled || s.Traceparent()[36:52] != strings.Repeat("2", 16) || s.Parent == [8]byte{} || s.Parent == s.ID {
		t.Errorf("with a caller: %+v", s)
	}
	if s = call(""); s.Sampled || s.Parent != [8]byte{} {
		t.Errorf("first of its trace: %+v", s)
	}
	if s = Served(call("").Traceparent(), sampledParent); s.Parent != [8]byte{} {
		t.Errorf("the caller is of another trace: %+v", s)
	}
	if s = Served("garbage", sampledParent); s != (Span{}) {
		t.Errorf("no span: %+v", s)
	}
}

// The share of new traces that are sampled is the one asked for, and 0 and 1 are exact.
func TestSampleIsTheShareAskedFor(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 0.1, 0.5, 1} {
		tr, err := NewTracing(TracingOptions{Sample: share})
		if err != nil {
			t.Fatal(err)
		}
		const n = 20000
		got := 0
		for range n {
			if tr.sampled(tr.traceID()) {
				got++
			}
		}
		if d := float64(got)/n - share; d > 0.02 || d < -0.02 || (share == 0 || share == 1) && d != 0 {
			t.Errorf("asked for %v, got %v", share, float64(got)/n)
		}
	}
	if _, err := NewTracing(TracingOptions{Sample: 1.5}); err == nil || !strings.Contains(err.Error(), "Sample") {
		t.Errorf("got %v", err)
	}
}

// A sampled request is exported under the ids that its answer and its messages carried, with its parent, time and attributes.
func TestSampledRequestIsExported(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	var s Span
	got := spansOf(t, 0, func(tr *Tracing) {
		s = call(sampledParent)
		tr.End(s, Recorded{Name: "POST /v1/x", Start: start, End: start.Add(1500 * time.Microsecond), Kind: trace.SpanKindServer,
			Attrs: []attribute.KeyValue{attribute.Int("http.response.status_code", 201), attribute.String("token", "hush")}})
	})
	if len(got) != 1 {
		t.Fatalf("%d spans", len(got))
	}
	r := got[0]
	if r.TraceID != s.TraceID() || r.SpanID != s.Traceparent()[36:52] || r.ParentID != sampledParent[36:52] || r.DurationMS != 1.5 ||
		r.At != "2026-11-11T00:00:00.000000Z" || r.Kind != "server" || r.Attributes["http.response.status_code"] != 201.0 || r.Attributes["token"] != masked {
		t.Errorf("got %+v", r)
	}
}

// What nobody sampled leaves no span, unless it ends in an error: requests and inner spans alike.
func TestErrorsAreAlwaysKept(t *testing.T) {
	t.Parallel()
	got := spansOf(t, 0, func(tr *Tracing) {
		for _, parent := range []string{"", quietParent} {
			s := call(parent)
			tr.End(s, Recorded{Name: "fine"})
			tr.End(s, Recorded{Name: "failed", Err: errors.New("disk full")})
			_, inner := tr.Tracer().Start(s.Context(t.Context()), "inner fine")
			inner.End()
			_, inner = tr.Tracer().Start(s.Context(t.Context()), "inner failed")
			inner.SetStatus(codes.Error, "late")
			inner.End()
		}
	})
	var names []string
	for _, r := range got {
		names = append(names, r.Message+" "+r.Error)
	}
	if s := strings.Join(names, ", "); s != "span failed disk full, span inner failed late, span failed disk full, span inner failed late" {
		t.Error(s)
	}
}

// Spans begun inside a request are its children and follow its decision.
func TestInnerSpansAreChildren(t *testing.T) {
	t.Parallel()
	var s Span
	got := spansOf(t, 0, func(tr *Tracing) {
		s = call(sampledParent)
		ctx, inner := tr.Tracer().Start(s.Context(t.Context()), "inner")
		if SpanOf(ctx).Trace != s.Trace || !SpanOf(ctx).Sampled {
			t.Error("the context lost the trace")
		}
		inner.End()
	})
	if len(got) != 1 || got[0].TraceID != s.TraceID() || got[0].ParentID != s.Traceparent()[36:52] {
		t.Errorf("got %+v", got)
	}
}

type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.release; return len(p), nil }

// A writer that hangs costs spans, which are counted, but holds up neither requests nor, past its context, a stop.
func TestStuckWriterDropsSpans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	dropped := 0
	w := stuck{make(chan struct{})}
	tr, err := NewTracing(TracingOptions{Sample: 1, Export: w, Dropped: func() { mu.Lock(); dropped++; mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	for range spanQueue + 100 {
		tr.End(call(sampledParent), Recorded{Name: "x"})
	}
	if dropped < 99 {
		t.Errorf("%d dropped", dropped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stop: %v", err)
	}
	close(w.release)
	<-tr.writer.done
	tr.End(call(sampledParent), Recorded{Name: "after the stop"})
}
