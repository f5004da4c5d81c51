package order

import (
	"context"
	"sync"
	"time"

	"penstock/internal/clock"
)

// pace spreads the rows of one database over time. The zero value starts at once.
type pace struct {
	mu   sync.Mutex
	next time.Time
}

// wait returns when rows may be written at perSecond (0 means no limit), or with the error of ctx.
func (p *pace) wait(ctx context.Context, clk clock.Clock, rows, perSecond int) error {
	if perSecond == 0 {
		return ctx.Err()
	}
	now := clk.Now()
	p.mu.Lock()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Duration(rows) * time.Second / time.Duration(perSecond))
	p.mu.Unlock()
	if !at.After(now) {
		return ctx.Err()
	}
	t := clk.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
