package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// The two levels that slog does not name. Fatal is for the last line before an exit; writing it does not exit.
const (
	LevelTrace = slog.Level(-8)
	LevelFatal = slog.Level(12)
)

var levelNames = [...]struct {
	level slog.Level
	name  string
}{{LevelTrace, "trace"}, {slog.LevelDebug, "debug"}, {slog.LevelInfo, "info"}, {slog.LevelWarn, "warn"}, {slog.LevelError, "error"}, {LevelFatal, "fatal"}}

// ParseLevel reads one of the six names.
func ParseLevel(s string) (slog.Level, error) {
	for _, l := range levelNames {
		if strings.EqualFold(s, l.name) {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("level %q is not one of trace, debug, info, warn, error, fatal", s)
}

// LevelName returns the name of the highest of the six levels that is not above l; "trace" for anything lower.
func LevelName(l slog.Level) string {
	name := levelNames[0].name
	for _, known := range levelNames {
		if l >= known.level {
			name = known.name
		}
	}
	return name
}

// LogOptions say what every line carries. Empty fields are left out.
type LogOptions struct {
	Service, Version, Host, Env string
	// Level is the least level that is written and can be moved while running; nil means info for good.
	Level *slog.LevelVar
}

// NewLogger returns a logger that writes one JSON object a line: @timestamp, level, message, what the options say, traceId and
// spanId when the context carries a span, what [WithLog] put into the context, and the attributes of the call. Values under a
// key that names a secret are masked, at any depth.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	level := o.Level
	if level == nil {
		level = new(slog.LevelVar)
	}
	var h slog.Handler = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})
	for _, a := range []slog.Attr{slog.String("service", o.Service), slog.String("version", o.Version), slog.String("host", o.Host), slog.String("env", o.Env)} {
		if a.Value.String() != "" {
			h = h.WithAttrs([]slog.Attr{a})
		}
	}
	return slog.New(&contextHandler{next: h})
}

// replace renames what slog names itself and masks secrets.
func replace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			if t, ok := a.Value.Any().(time.Time); ok {
				return slog.String("@timestamp", t.UTC().Format("2006-01-02T15:04:05.000000Z"))
			}
		case slog.LevelKey:
			if l, ok := a.Value.Any().(slog.Level); ok {
				return slog.String(slog.LevelKey, LevelName(l))
			}
		case slog.MessageKey:
			return slog.String("message", maskText(a.Value.String()))
		}
	}
	return mask(groups, a)
}

// Names of the fields that lines are searched by.
func TraceID(id string) slog.Attr { return slog.String("traceId", id) }
func UserID(id string) slog.Attr  { return slog.String("userId", id) }
func OrderID(id string) slog.Attr { return slog.String("orderId", id) }
func Took(d time.Duration) slog.Attr {
	return slog.Float64("duration_ms", float64(d.Microseconds())/1000)
}

type logKey struct{}

// WithLog returns a context whose log lines carry the attributes at top level, such as userId and orderId.
func WithLog(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(logKey{}).([]slog.Attr)
	return context.WithValue(ctx, logKey{}, append(before[:len(before):len(before)], attrs...))
}

// contextHandler adds what the context carries, at top level: groups that a caller has opened are kept aside as steps and
// opened after it.
type contextHandler struct {
	next  slog.Handler
	steps []func(slog.Handler) slog.Handler
}

func (h *contextHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.next.Enabled(ctx, l)
}

func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	var attrs []slog.Attr
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		attrs = append(attrs, slog.String("traceId", sc.TraceID().String()), slog.String("spanId", sc.SpanID().String()))
	}
	if more, ok := ctx.Value(logKey{}).([]slog.Attr); ok {
		attrs = append(attrs, more...)
	}
	if len(h.steps) == 0 {
		r = r.Clone()
		r.AddAttrs(attrs...)
		return h.next.Handle(ctx, r)
	}
	next := h.next.WithAttrs(attrs)
	for _, step := range h.steps {
		next = step(next)
	}
	return next.Handle(ctx, r)
}

func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.steps) == 0 {
		return &contextHandler{next: h.next.WithAttrs(attrs)}
	}
	return h.with(func(n slog.Handler) slog.Handler { return n.WithAttrs(attrs) })
}

func (h *contextHandler) WithGroup(name string) slog.Handler {
	return h.with(func(n slog.Handler) slog.Handler { return n.WithGroup(name) })
}

func (h *contextHandler) with(step func(slog.Handler) slog.Handler) slog.Handler {
	return &contextHandler{next: h.next, steps: append(h.steps[:len(h.steps):len(h.steps)], step)}
}
