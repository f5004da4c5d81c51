package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"penstock/gateway"
	"penstock/sale"
	"penstock/stock"
	"penstock/telemetry"
)

// orderRoute answers 200 to nobody but an owner.
const orderRoute = "GET /v1/orders/{order}"

// observer turns what the gateway saw of a call into metrics, a log line and a span.
type observer struct {
	log     *slog.Logger
	metrics *telemetry.Metrics
	tracing *telemetry.Tracing
	holders *holders
	live    *live
	routes  sync.Map // route name → *telemetry.Route
}

// Observe records one answered call. The series of a route are bound once.
func (o *observer) Observe(r *gateway.Record) {
	route, ok := o.routes.Load(r.Route)
	if !ok {
		route, _ = o.routes.LoadOrStore(r.Route, o.metrics.Route(r.Method, r.Route))
	}
	route.(*telemetry.Route).Done(r.Status, r.Duration, r.BytesIn, r.BytesOut)
	o.live.answered(r)
	if r.Route == orderRoute && r.Status == http.StatusOK {
		o.holders.saw(r.User)
	}
	var failed error
	if r.Status >= http.StatusInternalServerError {
		failed = errors.New(string(r.Code))
	}
	if failed != nil || r.Sampled {
		span := telemetry.Served(r.Trace, r.Parent)
		if o.tracing.Keep(span, failed) {
			o.tracing.End(span, telemetry.Recorded{
				Name: r.Route, Start: r.Start, End: r.Start.Add(r.Duration), Kind: trace.SpanKindServer, Err: failed,
				Attrs: []attribute.KeyValue{attribute.String("http.request.method", r.Method), attribute.Int("http.response.status_code", r.Status)},
			})
		}
	}
	if r.Log {
		o.line(r, failed)
	}
}

func (o *observer) line(r *gateway.Record, failed error) {
	level := slog.LevelInfo
	if failed != nil {
		level = slog.LevelError
	}
	ctx := context.Background()
	if !o.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		telemetry.TraceID(r.TraceID), slog.String("requestId", r.RequestID), slog.String("route", r.Route), slog.Int("status", r.Status),
		telemetry.Took(r.Duration), slog.String("client", r.Client.String()), telemetry.UserID(r.User), slog.String("problem", string(r.Code)),
	}
	if r.Panic != nil {
		attrs = append(attrs, slog.String("panic", fmt.Sprint(r.Panic)))
	}
	o.log.LogAttrs(ctx, level, "request", attrs...)
}

// counted counts the answers to attempts, and notes who has won.
type counted struct {
	sales   *sale.Sales
	metrics *telemetry.Metrics
	holders *holders
}

// Attempt passes the attempt on and counts its answer.
func (c counted) Attempt(ctx context.Context, r stock.Request) stock.Answer {
	a := c.sales.Attempt(ctx, r)
	result := string(a.Reason)
	switch a.State {
	case stock.Won:
		result = telemetry.ResultWon
		c.holders.saw(r.User)
	case stock.Unknown:
		result = telemetry.ResultUnknown
	}
	c.metrics.Attempt(result, a.Replayed)
	return a
}

// startTracing opens where spans go.
func (a *App) startTracing(context.Context) (func(context.Context) error, error) {
	var out io.Writer
	var file *os.File
	switch to := a.cfg.Trace.Export; to {
	case "off":
	case "log":
		out = a.opt.Log
	default:
		f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
		if err != nil {
			return nil, fmt.Errorf("trace.export is %q: %w; use off, log or a file that can be written", to, err)
		}
		out, file = f, f
	}
	t, err := telemetry.NewTracing(telemetry.TracingOptions{Sample: a.cfg.Trace.Sample, Export: out, Dropped: a.metrics.SpanDropped})
	if err != nil {
		return nil, err
	}
	a.tracing = t
	return func(ctx context.Context) error {
		err := t.Stop(ctx)
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return err
	}, nil
}
