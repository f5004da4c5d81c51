package webhook

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"penstock/internal/egress"
)

// Hooks is the room: it keeps endpoints, queues what the bus says and delivers it.
type Hooks struct {
	db     Store
	seal   Sealer
	o      Options
	client *http.Client
	me     string // names this process, this time, among all

	randMu sync.Mutex
	rand   *rand.Rand

	mu      sync.Mutex
	runners map[string]*runner
	seen    map[string]sighting // of endpoints that others work
	cancel  context.CancelFunc  // no further delivery
	abandon context.CancelFunc  // give up those in flight
	done    chan struct{}
}

// New returns the room over an open store. It delivers nothing before Start. The store stays the caller's to close, after Stop.
func New(db Store, seal Sealer, o Options) (*Hooks, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return &Hooks{
		db: db, seal: seal, o: o, client: egress.Client(o.Guard, egress.Options{Timeout: o.Timeout, TLS: o.TLS, Idle: maxEndpoints}), me: crand.Text(), rand: rand.New(rand.NewPCG(o.Seed, o.Seed^0x9e3779b97f4a7c15)),
		runners: map[string]*runner{}, seen: map[string]sighting{},
	}, nil
}

// Start delivers in the background until Stop. ctx bounds nothing: it only passes values on.
func (h *Hooks) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done != nil {
		return fmt.Errorf("webhook: started before")
	}
	base := context.WithoutCancel(ctx)
	soft, cancel := context.WithCancel(base)
	hard, abandon := context.WithCancel(base)
	h.cancel, h.abandon, h.done = cancel, abandon, make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { h.manage(soft, hard, &all) })
	all.Go(func() { h.housekeep(soft) })
	go func() {
		all.Wait()
		abandon()
		h.client.CloseIdleConnections()
		close(h.done)
	}()
	return nil
}

// Stop begins no further delivery and waits for those in flight; when ctx ends first they are given up, to be made again. Idempotent.
func (h *Hooks) Stop(ctx context.Context) error {
	h.mu.Lock()
	done := h.done
	if done != nil {
		h.cancel()
	}
	h.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		h.abandon()
		return ctx.Err()
	}
}

// sighting is what was last seen of an endpoint that this process does not work, and since when.
type sighting struct {
	beat   int64
	since  time.Time
	rounds int
}

// manage gives every enabled endpoint that nobody works a runner.
func (h *Hooks) manage(soft, hard context.Context, all *sync.WaitGroup) {
	for soft.Err() == nil {
		rows, err := h.rows(soft)
		if err != nil && soft.Err() == nil {
			h.o.Logger.Warn("webhook endpoints cannot be read", "error", err.Error())
		}
		for _, r := range rows {
			if r.Enabled && h.vacant(r) && h.take(soft, r) {
				run := newRunner(h, r)
				h.mu.Lock()
				h.runners[r.ID] = run
				h.mu.Unlock()
				all.Go(func() { run.run(soft, hard) })
			}
		}
		h.pause(soft, h.o.Look, nil)
	}
}

// vacant reports whether the endpoint may be taken: it is nobody's, or its owner has shown no sign of life for a term. No two
// clocks are compared: each process measures by its own. Who has more endpoints waits longer, so that they spread.
func (h *Hooks) vacant(r row) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runners[r.ID] != nil {
		delete(h.seen, r.ID)
		return false
	}
	if !h.db.Shared() || r.owner == h.me {
		return true
	}
	s, ok := h.seen[r.ID]
	if !ok || s.beat != r.beat {
		s = sighting{beat: r.beat, since: h.o.Clock.Now()}
	}
	s.rounds++
	h.seen[r.ID] = s
	if r.owner == "" {
		return s.rounds > min(len(h.runners), 5)
	}
	return h.o.Clock.Now().Sub(s.since) > h.o.Term
}

func (h *Hooks) take(ctx context.Context, r row) bool {
	var n int64
	err := h.db.Do(ctx, slot(r.ID), func(tx txn) (err error) {
		n, err = tx.Exec(`UPDATE webhook_endpoints SET owner=?, beat=beat+1 WHERE id=? AND beat=? AND enabled=1`, h.me, r.ID, r.beat)
		return err
	})
	if err != nil {
		h.o.Logger.Warn("a webhook endpoint cannot be taken", "endpoint", r.ID, "error", err.Error())
	}
	return err == nil && n == 1
}

// nudge lets the endpoint's runner look at once, if it is in this process.
func (h *Hooks) nudge(endpoint string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runners[endpoint]; r != nil {
		r.nudge()
	}
}

// pause waits until the time is over, wake or the end of ctx.
func (h *Hooks) pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := h.o.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-wake:
	case <-ctx.Done():
	}
}

// jitter lengthens a wait by up to a tenth, so that what failed together does not come back together.
func (h *Hooks) jitter(d time.Duration) time.Duration {
	h.randMu.Lock()
	defer h.randMu.Unlock()
	return d + time.Duration(h.rand.Int64N(int64(d)/10+1))
}
