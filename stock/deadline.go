package stock

import (
	"sync"
	"sync/atomic"
	"time"

	"penstock/internal/clock"
)

// deadline tells many waiters that their time is up with one timer for all of them: a channel is handed out for a twentieth
// of the deadline and closed one deadline after its first use at the earliest, so nobody is told early.
type deadline struct {
	clk     clock.Clock
	every   time.Duration
	current atomic.Pointer[chan struct{}]
	quit    chan struct{}
	once    sync.Once
}

func newDeadline(clk clock.Clock, d time.Duration) *deadline {
	l := &deadline{clk: clk, every: d / 20, quit: make(chan struct{})}
	first := make(chan struct{})
	l.current.Store(&first)
	timer := clk.NewTimer(l.every)
	go l.run(timer, first)
	return l
}

// after returns a channel that is closed between one deadline and one deadline plus a tenth from now.
func (l *deadline) after() <-chan struct{} { return *l.current.Load() }

func (l *deadline) run(timer clock.Timer, first chan struct{}) {
	old := []chan struct{}{first}
	for {
		select {
		case <-timer.C():
		case <-l.quit:
			timer.Stop()
			for _, c := range old {
				close(c)
			}
			return
		}
		next := make(chan struct{})
		l.current.Store(&next)
		if old = append(old, next); len(old) > 21 {
			close(old[0])
			old = old[1:]
		}
		timer = l.clk.NewTimer(l.every)
	}
}

func (l *deadline) stop() { l.once.Do(func() { close(l.quit) }) }
