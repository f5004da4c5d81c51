package partner

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"penstock/errs"
	"penstock/internal/seal"
)

// Apps are the apps of this Penstock.
type Apps struct {
	db     Store
	box    seal.Box
	o      Options
	replay Replay
	// builtIn are the names of the built-in APIs, which know what a sandbox is.
	builtIn []string
	snap    atomic.Pointer[snapshot]
	mu      sync.Mutex // one refresh at a time

	stop context.CancelFunc
	done chan struct{}
}

// snapshot is what calls are judged by. It never changes.
type snapshot struct {
	rev  int64
	read time.Time // when the store was last known to be at rev, by the time before it was asked
	apps map[string]*row
	keys map[string]*key
}

// key is a signing secret.
type key struct {
	kept
	app    *row
	secret []byte
}

// New returns apps over a store that stays the caller's to close. Start reads them.
func New(db Store, box seal.Box, o Options) (*Apps, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &Apps{db: db, box: box, o: o.withDefaults(), builtIn: slices.Collect(maps.Values(BuiltInAPIs()))}
	a.replay = a.o.Replay
	if a.replay == nil {
		a.replay = nonces{db}
	}
	a.snap.Store(&snapshot{})
	return a, nil
}

// Start reads the apps and follows what other processes change, until Stop.
func (a *Apps) Start(ctx context.Context) error {
	if err := a.refresh(ctx); err != nil {
		return fmt.Errorf("read the apps: %w", err)
	}
	ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.done = make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { a.follow(ctx) })
	if p, ok := a.replay.(nonces); ok {
		all.Go(func() { a.prune(ctx, p) }) // beside the looks: however long it takes, no app is refused for it
	}
	go func() {
		all.Wait()
		close(a.done)
	}()
	return nil
}

// Stop ends the following. Idempotent; it waits for a look or a removal that is under way, which ctx bounds.
func (a *Apps) Stop(ctx context.Context) error {
	if a.stop == nil {
		return nil
	}
	a.stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *Apps) follow(ctx context.Context) {
	warned := false
	for a.pause(ctx, a.o.Refresh) {
		err := a.look(ctx)
		if err != nil && !warned && ctx.Err() == nil {
			a.o.Logger.Warn("the apps cannot be read; they are refused soon", "error", err.Error())
		}
		warned = err != nil
	}
}

// pruneEvery is how long there is between two prunings of nonces.
const pruneEvery = 15 * time.Second

func (a *Apps) prune(ctx context.Context, n nonces) {
	for a.pause(ctx, pruneEvery) {
		if err := n.prune(ctx, a.o.Clock.Now()); err != nil && ctx.Err() == nil {
			a.o.Logger.Warn("old nonces cannot be removed; it is tried again", "error", err.Error())
		}
	}
}

// pause reports false when ctx ended first.
func (a *Apps) pause(ctx context.Context, d time.Duration) bool {
	timer := a.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// look is a refresh that does not wait longer than what it is for.
func (a *Apps) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.o.Stale)
	defer cancel()
	return a.refresh(ctx)
}

// refresh reads the apps again if one of them changed.
func (a *Apps) refresh(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Clock.Now()
	rev, err := a.rev(ctx)
	if err != nil {
		return err
	}
	old := a.snap.Load()
	if rev == old.rev && !old.read.IsZero() {
		a.snap.Store(&snapshot{rev: rev, read: now, apps: old.apps, keys: old.keys})
		return nil
	}
	rows, err := a.rows(ctx) // may be newer than rev, and then comes again
	if err != nil {
		return err
	}
	s := &snapshot{rev: rev, read: now, apps: make(map[string]*row, len(rows)), keys: map[string]*key{}}
	for i := range rows {
		a.add(s, &rows[i], now)
	}
	before := a.Quotas()
	a.snap.Store(s)
	if a.o.Changed != nil && !reflect.DeepEqual(before, a.Quotas()) {
		a.o.Changed()
	}
	return nil
}

func (a *Apps) add(s *snapshot, r *row, now time.Time) {
	s.apps[r.ID] = r
	for _, k := range live(r.kept, now) {
		if k.Use != Signing {
			continue
		}
		text, err := a.box.Open(k.Sealed, r.ID+"/"+k.ID)
		if err != nil {
			a.o.Logger.Error("a signing secret cannot be read: is apps.key the one it was sealed with?", "app", r.ID, "secret", k.ID, "error", err.Error())
			continue
		}
		s.keys[k.ID] = &key{kept: k, app: r, secret: text}
	}
}

// current returns what calls are judged by, unless it is too old to know of revocations.
func (a *Apps) current(now time.Time) (*snapshot, error) {
	s := a.snap.Load()
	if s.read.IsZero() || now.Sub(s.read) > a.o.Stale {
		e := errs.New(errs.ReducedCapacity, "apps cannot be checked right now; nothing was executed")
		e.RetryAfter = time.Second
		return nil, e
	}
	return s, nil
}

// refreshed lets the acts of this process be seen by it at once. Failing only delays that.
func (a *Apps) refreshed(ctx context.Context) {
	if err := a.look(context.WithoutCancel(ctx)); err != nil {
		a.o.Logger.Warn("the apps cannot be read after a change; it is tried again", "error", err.Error())
	}
}
