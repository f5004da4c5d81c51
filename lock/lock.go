// Package lock gives one holder at a time a name, and with it a fencing token, so that work which must not be done twice at once
// (timers, relays, leaders) is done by one of many processes.
//
// A lock alone protects nothing: a holder may be paused, or its store may forget it, and wake up after somebody else was given
// the name. So each [Grant] carries a token, greater than that of every grant handed out before the acquisition began, whatever
// the store forgot; and who writes on the strength of a grant calls [Guard] in the same SQL transaction, which refuses a token
// older than one it has seen. The token comes from SQL ([Fence]), never from the store of the locks. DESIGN.md argues why.
//
// Grants renew themselves at a third of their time to live, and end when renewal says that somebody else is owner or when the
// lease has run out by the monotonic clock: [Grant.Context] is cancelled, and [Grant.Err] tells at once even to a holder that
// was stopped meanwhile. Everything is safe for concurrent use.
package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"penstock/internal/clock"
	"penstock/lock/driver"
)

// Errors that callers compare with errors.Is.
var (
	// ErrHeld says that somebody else holds the name.
	ErrHeld = errors.New("lock is held by another")
	// ErrLost ends a grant: somebody else is owner, or the lease ran out before it could be renewed.
	ErrLost = errors.New("lock was lost")
	// ErrReleased ends a grant that its holder released.
	ErrReleased = errors.New("lock was released")
	// ErrStopped says that the Locker was stopped.
	ErrStopped = errors.New("locker is stopped")
	// ErrUnavailable says that the store of the locks did not answer. No grant was made.
	ErrUnavailable = driver.ErrUnavailable
)

// Options tunes a Locker. The zero value works.
type Options struct {
	// TTL is after how long a dead holder's name is free again; 0 means 30 s, the least is 50 ms. Renewal is at a third of it.
	TTL   time.Duration
	Clock clock.Clock
}

// Fence hands out tokens. Next returns a token greater than every token returned for that name before the call began; it is
// durable before it is returned. [SQLFence] is one.
type Fence interface {
	Next(ctx context.Context, name string) (int64, error)
}

// Locker acquires locks in one store. Stop it.
type Locker struct {
	driver driver.Driver
	fence  Fence
	ttl    time.Duration
	clock  clock.Clock
	turns  turns

	mu      sync.Mutex
	grants  map[*Grant]struct{}
	stopped bool
	dogs    sync.WaitGroup
}

// New returns a Locker over a store and a source of tokens. It starts nothing.
func New(d driver.Driver, f Fence, o Options) (*Locker, error) {
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	if o.TTL < 50*time.Millisecond {
		return nil, fmt.Errorf("lock: TTL is %v, want at least 50ms, for example 30s", o.TTL)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	return &Locker{driver: d, fence: f, ttl: o.TTL, clock: o.Clock, grants: map[*Grant]struct{}{}}, nil
}

// Acquire waits until the name is free and returns its grant. It waits in turn with the others of this process, and roughly in
// turn with other processes. Names are 1 to 200 bytes without spaces, control characters and braces.
//
// Errors: the context's, ErrStopped, ErrUnavailable, or the fence's. No grant was made then; at worst the name stays taken for
// one TTL.
func (l *Locker) Acquire(ctx context.Context, name string) (*Grant, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	done, err := l.turns.take(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("acquire lock %s: %w", name, err)
	}
	defer done()
	owner := rand.Text()
	for {
		g, left, err := l.try(ctx, name, owner)
		if err != nil || g != nil {
			return g, err
		}
		if err = l.driver.Await(ctx, name, l.pause(left)); err != nil {
			return nil, fmt.Errorf("acquire lock %s: %w", name, err)
		}
	}
}

// TryAcquire returns the grant, or ErrHeld at once. Other errors are those of Acquire.
func (l *Locker) TryAcquire(ctx context.Context, name string) (*Grant, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	g, left, err := l.try(ctx, name, rand.Text())
	if err == nil && g == nil {
		return nil, fmt.Errorf("%w: %s, for at most %v unless renewed", ErrHeld, name, left)
	}
	return g, err
}

// Lead acquires the name and runs f under the grant's context, again and again until ctx ends: when f returns, the grant is
// released; when the grant is lost, f's context is cancelled, and the next round starts when the name is free. A pause of a third
// of the TTL, jittered, follows an error. It returns ctx's error, or ErrStopped.
func (l *Locker) Lead(ctx context.Context, name string, f func(context.Context, *Grant) error) error {
	for {
		err := l.lead(ctx, name, f)
		if errors.Is(err, ErrStopped) || ctx.Err() != nil {
			return err
		}
		if err == nil {
			continue
		}
		timer := l.clock.NewTimer(l.ttl/6 + mathrand.N(l.ttl/3))
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (l *Locker) lead(ctx context.Context, name string, f func(context.Context, *Grant) error) error {
	g, err := l.Acquire(ctx, name)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.Context(), func() { cancel(context.Cause(g.Context())) })
	err = f(inner, g)
	stop()
	cancel(nil)
	release, end := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/3)
	defer end()
	if lost := g.Release(release); err == nil {
		err = lost
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// try takes the name, then a token, then makes sure that the name is still ours: the confirmation is what makes the grant, and
// the lease runs from it. Without a grant and an error, left says how long the present holder has.
func (l *Locker) try(ctx context.Context, name, owner string) (g *Grant, left time.Duration, err error) {
	if err = l.refuseIfStopped(); err != nil {
		return nil, 0, err
	}
	left, err = l.driver.Take(ctx, name, owner, l.ttl)
	if err != nil {
		l.giveBack(ctx, name, owner)
		return nil, 0, fmt.Errorf("acquire lock %s: %w", name, err)
	}
	if left > 0 {
		return nil, left, nil
	}
	token, err := l.fence.Next(ctx, name)
	if err != nil {
		l.giveBack(ctx, name, owner)
		return nil, 0, fmt.Errorf("acquire lock %s: take a fencing token: %w", name, err)
	}
	sent := l.clock.Now()
	ours, err := l.driver.Renew(ctx, name, owner, l.ttl)
	if err != nil {
		l.giveBack(ctx, name, owner)
		return nil, 0, fmt.Errorf("acquire lock %s: confirm: %w", name, err)
	}
	if !ours {
		return nil, time.Millisecond, nil
	}
	g, err = l.grant(name, owner, token, sent)
	if err != nil {
		l.giveBack(ctx, name, owner)
	}
	return g, 0, err
}

// giveBack frees a name that may have been taken. If that fails too, the name is free after one TTL.
func (l *Locker) giveBack(ctx context.Context, name, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(l.ttl/3, time.Second))
	defer cancel()
	_, _ = l.driver.Release(ctx, name, owner)
}

// pause is how long to wait for a wake-up: not longer than the holder has, and a third of the TTL, in case the store forgot the
// lock and with it the wake-up. The jitter keeps waiters apart when a dead holder's time is up.
func (l *Locker) pause(left time.Duration) time.Duration {
	return min(left, l.ttl/3) + mathrand.N(min(max(l.ttl/100, 5*time.Millisecond), 100*time.Millisecond))
}

func (l *Locker) refuseIfStopped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrStopped
	}
	return nil
}

// Stop releases all grants, ends their renewal and refuses new ones. Idempotent; bounded by ctx.
func (l *Locker) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	held := make([]*Grant, 0, len(l.grants))
	for g := range l.grants {
		held = append(held, g)
	}
	l.mu.Unlock()
	var failed []error
	for _, g := range held {
		if err := g.Release(ctx); err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, ErrReleased) {
			failed = append(failed, err)
		}
	}
	l.dogs.Wait()
	return errors.Join(failed...)
}

func checkName(name string) error {
	bad := func(r rune) bool { return r <= ' ' || r == '{' || r == '}' || r == 0x7f }
	if name == "" || len(name) > 200 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("lock name is %q, want 1 to 200 bytes without spaces, control characters and braces, for example relay:stock", name)
	}
	return nil
}
