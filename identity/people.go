package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"penstock/internal/clock"
)

const (
	// refreshEvery is how often the snapshot asks for the version, staleAfter how old it may be before sessions are refused.
	refreshEvery = time.Second
	staleAfter   = 4 * time.Second
	// missEvery bounds the refreshes that unknown sessions cause.
	missEvery  = 50 * time.Millisecond
	sweepEvery = time.Minute
	// pendingLife is how long a login waits for its second factor.
	pendingLife = 5 * time.Minute
	// perUser bounds the sessions of a user; the oldest ends when there are more.
	perUser = 20
)

// Options tunes People. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Audit is told of every act and login; nil means nobody is.
	Audit Audit
	// Cost of password hashes; the zero value is what [Cost] says. For tests.
	Cost Cost
	// Slots bounds the passwords hashed at once; 0 means half of GOMAXPROCS, at least one. Browsers that are known have one more.
	Slots int
	// Idle and Life end sessions: after a time of not being used, and in any case; 0 means 30 minutes and 12 hours.
	Idle, Life time.Duration
	// Issuer names this Penstock in authenticator apps; "" means "Penstock".
	Issuer string
}

// Validate names the field that is out of range.
func (o Options) Validate() error {
	switch {
	case o.Slots < 0 || o.Slots > 1024:
		return fmt.Errorf("option Slots is %d: it must be 0 to 1024", o.Slots)
	case o.Idle < 0 || o.Life < 0:
		return fmt.Errorf("options Idle and Life are %v and %v: they must be 0 or more", o.Idle, o.Life)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, Act) error { return nil }
	}
	if o.Slots == 0 {
		o.Slots = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Idle == 0 {
		o.Idle = 30 * time.Minute
	}
	if o.Life == 0 {
		o.Life = 12 * time.Hour
	}
	if o.Issuer == "" {
		o.Issuer = "Penstock"
	}
	return o
}

// People is the room. See the package comment for its promises.
type People struct {
	db    Store
	vault Vault
	o     Options
	// hash serves anybody, known serves browsers that logged in before: a flood of the first does not close the second.
	hash, known *hasher
	failures    *bounded

	snap      atomic.Pointer[snapshot]
	reloading sync.Mutex

	mu      sync.Mutex
	touched map[string]time.Time // sessions in use, not yet written

	stop context.CancelFunc
	done sync.WaitGroup
}

// New works on a store, which the caller closes after Stop. It reads the first snapshot.
func New(ctx context.Context, db Store, v Vault, o Options) (*People, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	o = o.withDefaults()
	p := &People{
		db: db, vault: v, o: o, touched: map[string]time.Time{},
		hash: newHasher(o.Cost, o.Slots, o.Clock), known: newHasher(o.Cost, 1, o.Clock),
	}
	p.failures = &bounded{audit: o.Audit, now: o.Clock.Now}
	return p, p.Refresh(ctx)
}

// Start keeps the snapshot fresh and sweeps what has ended, until Stop. The two run apart: whoever holds the lock of a row that is to
// be swept, or the trail, must not make the snapshot old.
func (p *People) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.done.Go(func() {
		for p.pause(ctx) {
			p.noted(ctx, p.Refresh(ctx))
		}
	})
	p.done.Go(func() {
		swept := p.o.Clock.Now()
		for p.pause(ctx) {
			err := errors.Join(p.writeTouched(ctx), p.failures.flush(ctx))
			if now := p.o.Clock.Now(); err == nil && now.Sub(swept) >= sweepEvery {
				swept, err = now, p.sweep(ctx)
			}
			p.noted(ctx, err)
		}
	})
	return nil
}

// pause reports false when ctx ended first.
func (p *People) pause(ctx context.Context) bool {
	t := p.o.Clock.NewTimer(refreshEvery)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *People) noted(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.o.Logger.Warn("identity: a round of housekeeping failed", "error", err.Error())
	}
}

// Stop ends what Start began. Idempotent.
func (p *People) Stop() {
	if p.stop != nil {
		p.stop()
	}
	p.done.Wait()
}

// Store, Vault, Now and Tell are for package oidc, which keeps its rows beside these.

// Store returns where the room keeps its rows.
func (p *People) Store() Store { return p.db }

// Vault returns what seals and signs.
func (p *People) Vault() Vault { return p.vault }

// Now tells the time.
func (p *People) Now() time.Time { return p.o.Clock.Now() }

// Tell passes an act on to the audit trail.
func (p *People) Tell(ctx context.Context, a Act) error { return p.o.Audit(ctx, a) }
