package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	pollEvery = 100 * time.Millisecond
	// settleFor bounds the wait before a further reading.
	settleFor = 2 * time.Second
)

// drainage is what a drain left behind.
type drainage struct {
	left  map[string]int64
	stuck []string // of left, what never became less while the whole wait lasted
}

// drainer waits before each reading: before the first as long as was asked for, before the others a little.
type drainer struct {
	src     Source
	o       *Options
	began   bool
	before  map[string]int64
	sank    map[string]bool // what has become less at some look
	patient bool            // the whole wait was not enough
}

// drain waits until nothing is in flight, or the time is up.
func (r *drainer) drain(ctx context.Context) (d drainage, err error) {
	if r.src.InFlight == nil {
		return d, nil
	}
	wait := r.o.Wait
	if r.began {
		wait = min(wait, settleFor)
	} else {
		r.sank = map[string]bool{}
	}
	for deadline := r.o.Clock.Now().Add(wait); ; {
		if d.left, err = r.look(ctx); err != nil {
			return d, err
		}
		waits := waiting(d.left)
		if over := r.o.Clock.Now().After(deadline); len(waits) == 0 || over {
			r.patient = r.patient || over && !r.began
			r.began = true
			if r.patient {
				d.stuck = slices.DeleteFunc(waits, func(name string) bool { return r.sank[name] })
			}
			return d, nil
		}
		r.o.Progress("waiting until nothing is in flight: " + describe(d.left))
		t := r.o.Clock.NewTimer(pollEvery)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return d, ctx.Err()
		}
	}
}

// look returns what is in flight, without what is not.
func (r *drainer) look(ctx context.Context) (map[string]int64, error) {
	left, err := r.src.InFlight(ctx)
	if err != nil {
		return nil, err
	}
	for name, n := range r.before {
		r.sank[name] = r.sank[name] || left[name] < n
	}
	r.before = maps.Clone(left)
	maps.DeleteFunc(left, func(_ string, n int64) bool { return n == 0 })
	return left, nil
}

// beyond ends the name under which a server tells that a reader of messages stands behind the end of what it reads. That does
// not pass by waiting.
const beyond = ".beyond"

// waiting returns the names of what waiting helps against, in order.
func waiting(left map[string]int64) []string {
	names := slices.Sorted(maps.Keys(left))
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, beyond) })
}

func describe(left map[string]int64) string {
	names := slices.Sorted(maps.Keys(left))
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, left[n])
	}
	return strings.Join(names, ", ")
}
