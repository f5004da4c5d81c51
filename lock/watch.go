package lock

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watch renews until the grant ends: every third of the TTL, three times as often after a failure, and never past the lease.
func (g *Grant) watch() {
	defer g.l.forget(g)
	for wait := g.l.ttl / 3; ; {
		timer := g.l.clock.NewTimer(max(min(wait, g.left()), 0))
		select {
		case <-timer.C():
		case <-g.ctx.Done():
			timer.Stop()
			return
		}
		err := g.renew()
		if g.ctx.Err() != nil {
			g.cleanUp(err)
			return
		}
		if wait = g.l.ttl / 3; err != nil {
			wait = g.l.ttl / 9
		}
	}
}

// renew is Extend with a time limit: an answer that comes after the lease is of no use.
func (g *Grant) renew() error {
	left := g.left()
	if left <= 0 {
		return g.Err()
	}
	ctx, cancel := context.WithTimeout(g.ctx, min(left, max(g.l.ttl/3, time.Millisecond)))
	defer cancel()
	return g.Extend(ctx)
}

// cleanUp frees a name whose lease ran out here but not yet in the store. A released one is its releaser's.
func (g *Grant) cleanUp(err error) {
	if errors.Is(err, ErrLost) && g.released() == nil {
		g.l.giveBack(context.Background(), g.name, g.owner)
	}
}

// released returns the cause if the holder itself ended the grant.
func (g *Grant) released() error {
	if cause := context.Cause(g.ctx); errors.Is(cause, ErrReleased) {
		return cause
	}
	return nil
}

// endedBy is Release's answer for a grant that had ended before.
func (g *Grant) endedBy() error {
	if g.released() != nil {
		return nil
	}
	return fmt.Errorf("release: %w", context.Cause(g.ctx))
}

func (l *Locker) forget(g *Grant) {
	l.mu.Lock()
	delete(l.grants, g)
	l.mu.Unlock()
	l.dogs.Done()
}
