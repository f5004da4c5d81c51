package shed

import (
	"context"
	"time"
)

// waiter is a call that waits for its turn.
type waiter struct {
	class, grade int
	verdict      chan bool // true: go; false: refused for one who matters more. One is sent once it is out of its line.
	before       *waiter
	after        *waiter
	in           bool
}

// line is those of one class and grade, the first come first.
type line struct{ first, last *waiter }

// wait puts the call in line until its turn, the end of its patience, or one who matters more takes its place.
func (s *Shedder) wait(ctx context.Context, c Class, grade int) (func(), error) {
	w := &waiter{class: int(c), grade: grade, verdict: make(chan bool, 1)}
	s.mu.Lock()
	if s.ended || !s.room(w) {
		s.mu.Unlock()
		return nil, s.refusal(c)
	}
	s.append(w)
	s.admit() // a place may have become free meanwhile
	s.mu.Unlock()
	timer := s.o.Clock.NewTimer(s.o.Patience[c])
	defer timer.Stop()
	var err error
	select {
	case yes := <-w.verdict:
		return s.judged(c, yes)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C():
	}
	s.mu.Lock()
	if w.in {
		s.admit() // on a busy machine the timer of the capacity may be as late as this one
	}
	in := w.in
	if in {
		s.remove(w)
	}
	s.mu.Unlock()
	switch {
	case !in && err == nil:
		return s.judged(c, <-w.verdict)
	case !in && <-w.verdict:
		s.leave()
	}
	if err != nil {
		return nil, err
	}
	return nil, s.refusal(c)
}

func (s *Shedder) judged(c Class, yes bool) (func(), error) {
	if !yes {
		return nil, s.refusal(c)
	}
	s.counts[c].passed.Add(1)
	return s.release, nil
}

// room reports whether w may wait, after it has turned away one who matters less if all places are taken. The caller holds mu.
func (s *Shedder) room(w *waiter) bool {
	if s.queued.Load() < int64(s.o.Waiting) {
		return true
	}
	for c := classes - 1; c >= w.class; c-- {
		for g := grades - 1; g >= 0; g-- {
			if c == w.class && g <= w.grade {
				return false
			}
			if last := s.lines[c][g].last; last != nil {
				s.remove(last)
				last.verdict <- false
				return true
			}
		}
	}
	return false
}

// first is whose turn it is; one must wait. The caller holds mu.
func (s *Shedder) first() *waiter {
	for c := range s.lines {
		for g := range s.lines[c] {
			if w := s.lines[c][g].first; w != nil {
				return w
			}
		}
	}
	panic("shed: nobody waits though somebody is counted")
}

func (s *Shedder) append(w *waiter) {
	l := &s.lines[w.class][w.grade]
	w.in, w.before = true, l.last
	if l.last != nil {
		l.last.after = w
	} else {
		l.first = w
	}
	l.last = w
	s.queued.Add(1)
}

func (s *Shedder) remove(w *waiter) {
	l := &s.lines[w.class][w.grade]
	if w.before != nil {
		w.before.after = w.after
	} else {
		l.first = w.after
	}
	if w.after != nil {
		w.after.before = w.before
	} else {
		l.last = w.before
	}
	w.in, w.before, w.after = false, nil, nil
	s.queued.Add(-1)
}

// patience bounds how long Stop waits for the shedder's own goroutines.
const patience = 5 * time.Second
