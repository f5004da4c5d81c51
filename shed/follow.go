package shed

import (
	"context"
	"errors"
	"time"
)

// Start makes the limit follow the machine.
func (s *Shedder) Start(context.Context) error {
	s.done.Go(s.follow)
	return nil
}

// Stop refuses all who wait and ends the shedder's own work. Idempotent.
func (s *Shedder) Stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.stopped)
		for s.queued.Load() > 0 {
			w := s.first()
			s.remove(w)
			w.verdict <- false
		}
	}
	s.mu.Unlock()
	over := make(chan struct{})
	go func() { s.done.Wait(); close(over) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errors.New("shed: it did not stop in time")
	}
}

func (s *Shedder) follow() {
	since := s.o.Clock.Now()
	for {
		timer := s.o.Clock.NewTimer(s.o.Tick)
		select {
		case <-timer.C():
		case <-s.stopped:
			timer.Stop()
			return
		}
		s.adjust(s.o.Pressure())
		if now := s.o.Clock.Now(); now.Sub(since) >= time.Second {
			s.usage.halve()
			since = now
		}
	}
}

// adjust moves the limit: down by a tenth from what really runs while the machine is late, up by a twentieth when it is not. What
// is taken quickly is given back slowly, and the limit never strays far from what is used.
func (s *Shedder) adjust(delay time.Duration) {
	limit, running := s.limit.Load(), s.running.Load()
	switch {
	case delay > s.o.Target:
		limit = min(limit, max(running, limit/2)) * 9 / 10
	case limit < int64(s.o.InFlight):
		limit += max(1, limit/20)
	}
	s.limit.Store(min(max(limit, int64(s.o.Floor)), int64(s.o.InFlight)))
	if s.queued.Load() > 0 {
		s.mu.Lock()
		s.admit()
		s.mu.Unlock()
	}
}

// State is what a shedder is doing.
type State struct {
	// Limit is how many may run at once now; Running and Waiting are how many do.
	Limit, Running, Waiting int64
	// Passed and Refused count calls since the start, by class.
	Passed, Refused map[Class]uint64
}

// State returns it; the numbers are read one after the other.
func (s *Shedder) State() State {
	out := State{Limit: s.limit.Load(), Running: s.running.Load(), Waiting: s.queued.Load(), Passed: map[Class]uint64{}, Refused: map[Class]uint64{}}
	for _, c := range Classes() {
		out.Passed[c], out.Refused[c] = s.counts[c].passed.Load(), s.counts[c].refused.Load()
	}
	return out
}

// Overloaded reports whether anybody waits: whoever could do without now, should.
func (s *Shedder) Overloaded() bool { return s.queued.Load() > 0 }
