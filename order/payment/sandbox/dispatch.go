package sandbox

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"
)

const (
	// atLeast is the shortest pause between two readings of the books by the clock, so that many charges due one after the
	// other are read together.
	atLeast = 5 * time.Millisecond
	// atMost is the longest.
	atMost = time.Minute
)

// dispatch runs the senders and keeps the queue filled from the books until ctx ends.
func (s *Service) dispatch(ctx context.Context, done chan struct{}) {
	defer close(done)
	var senders sync.WaitGroup
	defer senders.Wait()
	for range s.o.Senders {
		senders.Go(func() { s.sender(ctx) })
	}
	s.queue.setOpen(true)
	defer s.queue.setOpen(false)
	for ctx.Err() == nil {
		wait, err := s.handOut(ctx)
		if err != nil && ctx.Err() == nil {
			s.o.Logger.Error("sandbox callbacks", "error", err)
		}
		t := s.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.queue.look:
		case <-t.C():
		}
		t.Stop()
	}
}

func (s *Service) sender(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.queue.due:
			s.queue.finished(s.deliver(ctx, c))
		}
	}
}

// handOut fills the queue with what is due and returns how long to wait for the next.
func (s *Service) handOut(ctx context.Context) (time.Duration, error) {
	now := s.o.Clock.Now()
	limit := queued + s.queue.size()
	s.queue.reading()
	due, err := s.dueCharges(ctx, now, limit)
	if err != nil {
		return time.Second, err
	}
	s.queue.fill(due, len(due) == limit)
	var next sql.NullInt64
	err = s.db.R().QueryRowContext(ctx, `SELECT min(next_at) FROM charges WHERE next_at>?`, now.UnixMilli()).Scan(&next)
	if err != nil {
		return time.Second, fmt.Errorf("read due callbacks: %w", err)
	}
	wait := atMost
	if next.Valid {
		wait = min(max(time.UnixMilli(next.Int64).Sub(now), atLeast), atMost)
	}
	s.queue.plan(now.Add(wait))
	return wait, nil
}

func (s *Service) dueCharges(ctx context.Context, now time.Time, limit int) ([]charge, error) {
	rows, err := s.db.R().QueryContext(ctx, `SELECT `+chargeColumns+` FROM charges WHERE next_at<=? ORDER BY next_at LIMIT ?`, now.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("read due callbacks: %w", err)
	}
	defer rows.Close()
	var all []charge
	for rows.Next() {
		c, err := scanCharge(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read due callbacks: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}
