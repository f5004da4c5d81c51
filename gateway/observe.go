package gateway

import (
	"net/netip"
	"time"

	"penstock/errs"
)

// AttemptRoute is the route name of the attempt path.
const AttemptRoute = "POST /v1/sales/{sale}/attempts"

// ShopRoute is the route name of the pages of the public listener, and of their files.
const ShopRoute = "GET /shop"

// Record is what became of a call. Durations are from the monotonic clock.
type Record struct {
	Start     time.Time
	Duration  time.Duration
	Method    string // "OTHER" for a method this server does not know
	Route     string // the pattern, never the path
	Status    int    // 0 when the connection was given up without an answer
	Code      errs.Code
	BytesIn   int64
	BytesOut  int64
	RequestID string
	TraceID   string
	// Trace is the W3C traceparent of this call, to be handed on to whatever it causes; Parent is the caller's own, "" if it
	// sent none that is good.
	Trace, Parent string
	// Sampled is the sampled bit of the trace.
	Sampled bool
	// Log is whether the call deserves a log line: every error of ours does, every call beside the attempt path does, and
	// every [Options.LogEvery]-th attempt. Calls that are shed without being executed are no errors of their own: a
	// database that is gone makes one of each attempt, and that it is gone is said where it is noticed.
	Log    bool
	Client netip.Addr
	User   string
	// Sale is the sale that a call of the attempt path names, as the caller wrote it; "" for other calls.
	Sale string
	// Panic is what a handler panicked with, for logs; nil otherwise.
	Panic any
}

// Observer is told of every call after it was answered, on the goroutine that served it. It must be quick.
type Observer interface {
	Observe(r *Record)
}

type nobody struct{}

func (nobody) Observe(*Record) {}

func (g *Gateway) observe(next Handler) Handler {
	return func(c *Call) {
		c.Method = method(c.R.Method)
		c.Log = !c.attempt || g.calls.Add(1)%uint64(g.o.LogEvery) == 0
		defer func() {
			c.Duration = g.o.Clock.Now().Sub(c.Start)
			c.Log = c.Log || c.Status == 0 || c.Code == errs.Unknown || c.Status >= 500 && c.Code != errs.ReducedCapacity
			g.o.Observer.Observe(&c.Record)
		}()
		next(c)
	}
}

// method keeps hostile methods out of metric labels.
func method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return m
	}
	return "OTHER"
}
