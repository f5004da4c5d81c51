package app

import (
	"context"
	"sync"
	"time"

	"penstock/stock/mysqlstock"
)

// leaderTerm is how long the leader's work rests after a leader died.
const leaderTerm = 15 * time.Second

// leader is this process's part in work that one process does at a time. That work is repeatable: a leader that was paused past
// its term and finishes what it had begun does no harm, because every step of it is a compare-and-set.
type leader struct {
	lease *mysqlstock.Lease // nil: this process is alone
	now   func() time.Time

	mu    sync.Mutex
	until time.Time
}

// leads reports whether the work is ours now.
func (l *leader) leads() bool {
	if l.lease == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Before(l.until)
}

// campaign takes the lease, or keeps it. Call it at least three times a term.
func (l *leader) campaign(ctx context.Context) error {
	if l.lease == nil {
		return nil
	}
	begun := l.now()
	_, ok, err := l.lease.Take(ctx, leaderTerm)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil: // what we have lasts until it runs out
		return err
	case ok:
		l.until = begun.Add(leaderTerm * 4 / 5)
	default:
		l.until = time.Time{}
	}
	return nil
}

// resign lets the next leader begin at once.
func (l *leader) resign(ctx context.Context) error {
	if l.lease == nil {
		return nil
	}
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	return l.lease.Release(ctx)
}
