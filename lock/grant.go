package lock

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Grant is one holder's time with a name. Safe for concurrent use.
//
//	held ──Release──► released
//	  └──not owner any more, or lease over──► lost
type Grant struct {
	l           *Locker
	name, owner string
	token       int64
	ctx         context.Context
	end         context.CancelCauseFunc

	mu       sync.Mutex
	deadline time.Time // of the lease, by the monotonic clock of this machine
}

func (l *Locker) grant(name, owner string, token int64, confirmed time.Time) (*Grant, error) {
	g := &Grant{l: l, name: name, owner: owner, token: token, deadline: confirmed.Add(l.lease())}
	g.ctx, g.end = context.WithCancelCause(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		g.end(ErrStopped)
		return nil, ErrStopped
	}
	l.grants[g] = struct{}{}
	l.dogs.Add(1)
	go g.watch()
	return g, nil
}

// lease is how long a holder believes in a confirmation: a little less than the store does, because clocks do not tick alike.
func (l *Locker) lease() time.Duration { return l.ttl - l.ttl/50 }

// Name returns the lock's name.
func (g *Grant) Name() string { return g.name }

// Token returns the fencing token, at least 1, for [Guard].
func (g *Grant) Token() int64 { return g.token }

// Context is cancelled when the grant ends; its cause is ErrLost or ErrReleased.
func (g *Grant) Context() context.Context { return g.ctx }

// Lost is closed when the grant ends, for whatever reason.
func (g *Grant) Lost() <-chan struct{} { return g.ctx.Done() }

// Err returns nil while the grant holds by this machine's clock, else ErrLost or ErrReleased. It looks at the clock, so a holder
// that was stopped (garbage, swap, SIGSTOP) learns of it before any timer has fired. Between Err and what follows the holder may
// be stopped again: only [Guard] closes that gap.
func (g *Grant) Err() error {
	if g.ctx.Err() == nil && g.left() <= 0 {
		g.end(fmt.Errorf("%w: the lease of %s ran out before it was renewed", ErrLost, g.name))
	}
	return context.Cause(g.ctx)
}

func (g *Grant) left() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.deadline.Sub(g.l.clock.Now())
}

// Extend renews now for a whole TTL, for who is about to do something long in one piece. It returns ErrLost or ErrReleased if the
// grant has ended, and ErrUnavailable if the store did not answer; the grant then goes on until its lease is over.
func (g *Grant) Extend(ctx context.Context) error {
	if err := g.Err(); err != nil {
		return err
	}
	sent := g.l.clock.Now()
	ours, err := g.l.driver.Renew(ctx, g.name, g.owner, g.l.ttl)
	switch {
	case err != nil:
		return fmt.Errorf("renew lock %s: %w", g.name, err)
	case !ours:
		g.end(fmt.Errorf("%w: %s is not ours any more", ErrLost, g.name))
		return context.Cause(g.ctx)
	}
	g.mu.Lock()
	if d := sent.Add(g.l.lease()); d.After(g.deadline) && g.ctx.Err() == nil {
		g.deadline = d
	}
	g.mu.Unlock()
	return g.Err()
}

// Release ends the grant and frees the name if it is still ours. It returns ErrLost if the grant had been lost, nil if it was
// released before, and ErrUnavailable if the store did not answer: the name is then free after at most one TTL.
func (g *Grant) Release(ctx context.Context) error {
	lost := g.Err() != nil
	g.end(fmt.Errorf("%w: %s", ErrReleased, g.name))
	if lost {
		return g.endedBy()
	}
	ours, err := g.l.driver.Release(ctx, g.name, g.owner)
	if err != nil {
		return fmt.Errorf("release lock %s: %w", g.name, err)
	}
	if !ours {
		return fmt.Errorf("%w: %s was not ours any more when it was released", ErrLost, g.name)
	}
	return nil
}
