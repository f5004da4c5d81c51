package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Check returns nil when what it looks at is well. It must return soon after ctx ends.
type Check func(ctx context.Context) error

// HealthOptions are what [NewHealth] may be told. The zero value works.
type HealthOptions struct {
	// Timeout bounds one check; 0 means a second.
	Timeout time.Duration
}

// Health answers whether the process lives, has started, and may be sent requests.
//
//	starting ──Started──► ready ──Draining──► not ready
//
// Live asks only the live checks, which must be cheap and must fail only where a restart would help. Startup is well once
// Started was called. Ready wants started, not draining, and every ready check well.
type Health struct {
	timeout  time.Duration
	started  atomic.Bool
	draining atomic.Bool
	mu       sync.Mutex
	live     []*namedCheck
	ready    []*namedCheck
}

type namedCheck struct {
	name  string
	check Check
	mu    sync.Mutex
	now   *run // the run in progress, shared by whoever asks meanwhile
}

type run struct {
	done chan struct{}
	said string // valid once done is closed
}

// NewHealth returns a Health that has not started.
func NewHealth(o HealthOptions) *Health {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	return &Health{timeout: o.Timeout}
}

// AddLive adds a named check to live.
func (h *Health) AddLive(name string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = append(h.live, &namedCheck{name: name, check: c})
}

// AddReady adds a named check to ready.
func (h *Health) AddReady(name string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = append(h.ready, &namedCheck{name: name, check: c})
}

// Started says that recovery is complete.
func (h *Health) Started() { h.started.Store(true) }

// Draining says that a stop has begun.
func (h *Health) Draining() { h.draining.Store(true) }

// Report is the answer of a health endpoint. A check that is well says "ok", any other says what is wrong.
type Report struct {
	Status string // "ok" or "fail"
	Checks map[string]string
}

// Live reports whether a restart would not help.
func (h *Health) Live(ctx context.Context) Report { return h.report(ctx, h.copyOf(&h.live), nil) }

// Startup reports whether recovery is complete.
func (h *Health) Startup(ctx context.Context) Report {
	return h.report(ctx, nil, map[string]string{"started": h.startedText()})
}

// Ready reports whether requests should come here.
func (h *Health) Ready(ctx context.Context) Report {
	fixed := map[string]string{"started": h.startedText(), "draining": "ok"}
	if h.draining.Load() {
		fixed["draining"] = "a stop has begun"
	}
	if !h.started.Load() {
		return h.report(ctx, nil, fixed)
	}
	return h.report(ctx, h.copyOf(&h.ready), fixed)
}

func (h *Health) startedText() string {
	if h.started.Load() {
		return "ok"
	}
	return "recovery is not complete"
}

func (h *Health) copyOf(list *[]*namedCheck) []*namedCheck {
	h.mu.Lock()
	defer h.mu.Unlock()
	return (*list)[:len(*list):len(*list)]
}

// report runs the checks side by side, each within the timeout.
func (h *Health) report(ctx context.Context, checks []*namedCheck, fixed map[string]string) Report {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	r := Report{Status: "ok", Checks: map[string]string{}}
	for name, said := range fixed {
		r.add(name, said)
	}
	runs := make([]*run, len(checks))
	for i, c := range checks {
		runs[i] = c.start(ctx, h.timeout)
	}
	for i, c := range checks {
		r.add(c.name, runs[i].wait(ctx))
	}
	return r
}

// wait prefers an answer that is there to a context that has ended.
func (r *run) wait(ctx context.Context) string {
	select {
	case <-r.done:
		return r.said
	default:
	}
	select {
	case <-r.done:
		return r.said
	case <-ctx.Done():
		return "no answer in time"
	}
}

func (r *Report) add(name, said string) {
	r.Checks[name] = said
	if said != "ok" {
		r.Status = "fail"
	}
}

// start joins the run in progress or begins one. There is never more than one, so that a stuck engine gathers no goroutines;
// it does not end with the request that began it, because others may wait for it too.
func (c *namedCheck) start(ctx context.Context, timeout time.Duration) *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		return c.now
	}
	r := &run{done: make(chan struct{})}
	c.now = r
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		r.said = c.ask(ctx)
		c.mu.Lock()
		c.now = nil
		c.mu.Unlock()
		close(r.done)
	}()
	return r
}

func (c *namedCheck) ask(ctx context.Context) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = fmt.Sprintf("check panicked: %v", p)
		}
	}()
	if err := c.check(ctx); err != nil {
		return err.Error()
	}
	return "ok"
}

// Err returns nil when all is well, else an error that names what is not.
func (r Report) Err() error {
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(r.Checks)) {
		if said := r.Checks[name]; said != "ok" {
			bad = append(bad, name+": "+said)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return errors.New(strings.Join(bad, "; "))
}
