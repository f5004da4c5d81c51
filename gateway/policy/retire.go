package policy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"penstock/breaker"
	"penstock/limit"
	"penstock/shed"
)

// retired are shedders that a change has replaced and that calls still run by.
type retired struct {
	all    []*shed.Shedder
	counts shed.State // of those that are gone
	work   sync.WaitGroup
}

// Calls that wait by an old shedder keep their places: it goes on until nobody is left, which is looked at every retireLook, and is
// stopped after retireTime, more than anybody's patience. Running calls do not need it.
const (
	retireLook = 100 * time.Millisecond
	retireTime = 90 * time.Second
	stopTime   = 5 * time.Second
)

// retire lets a shedder end its work. l.mu is held.
func (l *Live) retire(s *shed.Shedder) {
	l.retired.all = append(l.retired.all, s)
	if !l.running {
		l.forget(s)
		return
	}
	done := l.done // closed when the watch has ended
	l.retired.work.Go(func() {
		l.quiet(s, done)
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			l.o.Logger.Warn("a shedder did not stop", "error", err.Error())
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.forget(s)
	})
}

// quiet waits until nobody waits or runs by the shedder, or the end.
func (l *Live) quiet(s *shed.Shedder, end <-chan struct{}) {
	for range retireTime / retireLook {
		t := l.o.Clock.NewTimer(retireLook)
		select {
		case <-t.C():
		case <-end:
			t.Stop()
			return
		}
		if now := s.State(); now.Running+now.Waiting == 0 {
			return
		}
	}
}

// forget keeps what a shedder has counted. l.mu is held.
func (l *Live) forget(s *shed.Shedder) {
	add(&l.retired.counts, s.State())
	l.retired.counts.Running, l.retired.counts.Waiting = 0, 0
	l.retired.all = slices.DeleteFunc(l.retired.all, func(other *shed.Shedder) bool { return other == s })
}

// stopRetired waits for all of them.
func (l *Live) stopRetired(ctx context.Context) error {
	over := make(chan struct{})
	go func() { l.retired.work.Wait(); close(over) }()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return errors.New("a replaced shedder did not stop in time")
	}
}

func add(to *shed.State, more shed.State) {
	if to.Passed == nil {
		to.Passed, to.Refused = map[shed.Class]uint64{}, map[shed.Class]uint64{}
	}
	to.Running, to.Waiting = to.Running+more.Running, to.Waiting+more.Waiting
	for _, c := range shed.Classes() {
		to.Passed[c] += more.Passed[c]
		to.Refused[c] += more.Refused[c]
	}
}

// Counts is what the policies of this process do and have done, for metrics.
type Counts struct {
	// Shed has the limit of the shedder in use; all else is over all shedders that there were.
	Shed     shed.State
	Breakers map[string]breaker.State
	// Limits has each rule of the policy in use.
	Limits []limit.Count
}

// Counts returns them.
func (l *Live) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := Counts{Breakers: map[string]breaker.State{}}
	add(&c.Shed, l.retired.counts)
	for _, s := range append(slices.Clip(l.retired.all), l.now.shedder) {
		add(&c.Shed, s.State())
	}
	c.Shed.Limit = l.now.shedder.State().Limit
	for name, b := range l.now.breakers {
		c.Breakers[name] = b.State()
	}
	for _, set := range []*limit.Set{l.now.address, l.now.callers} {
		if set != nil {
			c.Limits = append(c.Limits, set.Counts()...)
		}
	}
	return c
}
