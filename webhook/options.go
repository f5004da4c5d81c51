package webhook

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"penstock/bus/driver"
	"penstock/internal/clock"
	"penstock/internal/egress"
	"penstock/internal/fault"
)

// Act is what an operator does to an endpoint, for the trail: who does what to what, why, and JSON of before and after.
type Act struct{ Who, Act, Object, Why, Before, After, ID string }

// Options tunes [Hooks]. The zero value is good.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Seed makes the jitter of retries repeatable; 0 takes a random one.
	Seed uint64
	// Source begins the source of every event; "" means "penstock". The topic follows after a slash.
	Source string
	// Guard decides where endpoints may be.
	Guard egress.Guard
	// Types are the event types of each topic. An endpoint may ask for nothing else; nil lets it ask for anything.
	Types map[string][]string
	// Skip keeps a message from all endpoints; nil keeps none.
	Skip func(m *driver.Message) bool
	// TLS is for tests that trust an authority of their own; nil means the machine's.
	TLS *tls.Config
	// Timeout bounds one delivery, from the look-up of the name to the end of the answer; 0 means 15 s. It is real time.
	Timeout time.Duration
	// Retries are the waits after the first, second … failed try of a message; nil means 5 s to 24 h, about three days in all.
	Retries []time.Duration
	// DisableAfter is how long an endpoint may fail without a single success before it is disabled; 0 means 5 days.
	DisableAfter time.Duration
	// Keep is how long events and settled deliveries are kept for replay; 0 means 30 days.
	Keep time.Duration
	// Look is the pause between two looks at the queue; 0 means 1 s. What this process queues itself is seen at once.
	Look time.Duration
	// Term is how long the work of an endpoint rests after the process that had it died; 0 means 15 s.
	Term time.Duration
	// Audit records an operator's act before it is done; its failure refuses the act. Nil records nothing.
	Audit func(ctx context.Context, act Act) error
	// Tried is told of each try: "delivered", "failed" or "given-up". Nil is not called.
	Tried func(result string, took time.Duration)
	// Disabled is told of an endpoint that is disabled by what it answers, or by its silence.
	Disabled func(endpoint, why string)
	// Fault injects failures at the points named Point…; nil never fails.
	Fault *fault.Points
}

// Points where [Options.Fault] may fail a try.
const (
	// PointSent is after the answer of the receiver, before anything is written down.
	PointSent = "webhook.sent"
)

// Validate names the first field that is out of range.
func (o Options) Validate() error {
	for name, d := range map[string]time.Duration{
		"Timeout": o.Timeout, "DisableAfter": o.DisableAfter, "Keep": o.Keep, "Look": o.Look, "Term": o.Term,
	} {
		if d < 0 {
			return fmt.Errorf("webhook: %s is %v; it must not be negative", name, d)
		}
	}
	for _, d := range o.Retries {
		if d <= 0 {
			return fmt.Errorf("webhook: Retries has %v in it; each must be positive", d)
		}
	}
	return nil
}

// schedule is what Standard Webhooks recommends.
func schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Source == "" {
		o.Source = "penstock"
	}
	if o.Retries == nil {
		o.Retries = schedule()
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, Act) error { return nil }
	}
	if o.Tried == nil {
		o.Tried = func(string, time.Duration) {}
	}
	if o.Disabled == nil {
		o.Disabled = func(string, string) {}
	}
	for p, d := range map[*time.Duration]time.Duration{
		&o.Timeout: 15 * time.Second, &o.DisableAfter: 5 * 24 * time.Hour, &o.Keep: 30 * 24 * time.Hour, &o.Look: time.Second, &o.Term: 15 * time.Second,
	} {
		if *p == 0 {
			*p = d
		}
	}
	return o
}
