package storm

import (
	"context"
	"sync"
	"time"

	"penstock/check"
	"penstock/check/history"
)

// leave keeps those of whom something is still to be found out. It is called from the schedule's goroutine only.
func (s *storm) leave(b *buyer) {
	if b.lost && !b.won && !b.unsure {
		s.meter.losers.Add(1)
	}
	if !b.over() {
		s.left = append(s.left, b)
	}
}

// finish lets winners who were about to pay or cancel when the time was over do so.
func (s *storm) finish(ctx context.Context, until time.Time) {
	var acting []*buyer
	for _, b := range s.rest {
		if b.won && b.next != toAttempt {
			acting = append(acting, b)
		}
	}
	each(acting, settleWidth, func(b *buyer) {
		for s.step(ctx, b); !b.due.IsZero(); s.step(ctx, b) {
			if !s.pause(ctx, b.due.Sub(s.cfg.Clock.Now()), until) {
				return
			}
		}
	})
}

// each calls f for the buyers, at most width at once.
func each(buyers []*buyer, width int, f func(*buyer)) {
	next := make(chan *buyer)
	var wg sync.WaitGroup
	for range min(width, len(buyers)) {
		wg.Go(func() {
			for b := range next {
				f(b)
			}
		})
	}
	for _, b := range buyers {
		next <- b
	}
	close(next)
	wg.Wait()
}

const settleWidth = 64

// settle asks about every key whose outcome is not known until it is, or until the time is up.
func (s *storm) settle(ctx context.Context, until time.Time) {
	var unsure []*buyer
	for _, b := range s.left {
		if b.unsure && !b.won {
			unsure = append(unsure, b)
		}
	}
	each(unsure, settleWidth, func(b *buyer) {
		for b.tries = 0; ; b.tries++ {
			if s.settled(b, s.ask(ctx, b)) || !s.pause(ctx, b.backoff(0), until) {
				return
			}
		}
	})
}

// settled takes in the answer to a question about a key and reports whether it was one.
func (s *storm) settled(b *buyer, a answer) bool {
	switch {
	case a.outcome == history.Ack:
		b.learn(a)
		s.meter.winners.Add(1)
		s.meter.walked.Add(1)
	case a.status == 404:
		b.unsure, b.hungry = false, !b.lost // not executed: a patient buyer still wants it
	case a.state == "lost":
		b.unsure, b.hungry, b.lost = false, false, true
	default:
		return false
	}
	if b.lost && !b.won {
		s.meter.losers.Add(1)
	}
	return true
}

// pause waits, and reports whether there is time left.
func (s *storm) pause(ctx context.Context, d time.Duration, until time.Time) bool {
	if !s.cfg.Clock.Now().Add(d).Before(until) {
		return false
	}
	t := s.cfg.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// gateResync is how long a filter may say no after units came back; PROOF allows a second.
const gateResync = 1200 * time.Millisecond

// lastCall lets whoever was refused for lack of stock ask once more, after the last unit that will come back now has come
// back. With nothing free there is nothing to call for.
func (s *storm) lastCall(ctx context.Context, until time.Time) {
	var hungry []*buyer
	for _, b := range s.left {
		if b.patient && b.hungry && !b.won && !b.lost && !b.unsure {
			hungry = append(hungry, b)
		}
	}
	if len(hungry) == 0 || !s.anyFree(ctx) || !s.pause(ctx, gateResync, until) {
		return
	}
	each(hungry, settleWidth, func(b *buyer) {
		for b.tries = 0; b.tries < 5; b.tries++ {
			a := s.timed(ctx, b, s.cfg.Clock.Now())
			b.learn(a)
			if b.won {
				s.meter.winners.Add(1)
				s.meter.walked.Add(1)
			}
			if b.won || b.lost || history.NoStock(a.problem) || !s.pause(ctx, b.backoff(a.after), until) {
				return
			}
		}
	})
}

// anyFree reports whether the sale has free units, or whether that cannot be seen.
func (s *storm) anyFree(ctx context.Context) bool {
	rows, err := s.levels(ctx)
	if err != nil {
		return true
	}
	for i := range rows {
		if rows[i].Available > 0 {
			return true
		}
	}
	return false
}

// unresolved counts the keys of which still nobody knows.
func (s *storm) unresolved() (n int64) {
	for _, b := range s.left {
		if b.unsure && !b.won {
			n++
		}
	}
	return n
}

func (s *storm) levels(ctx context.Context) ([]check.StockRow, error) {
	snap, err := s.admin.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var rows []check.StockRow
	for _, r := range snap.Stock {
		if r.Sale == s.cfg.Sale {
			rows = append(rows, r)
		}
	}
	return rows, nil
}
