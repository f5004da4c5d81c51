package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"penstock/internal/clock"
)

// Options of a check. The zero value works.
type Options struct {
	// History is the path of a load generator's history; "" leaves the invariants that need one not-run.
	History string
	// EarlierAudit is the path of an audit export taken before; "" means none.
	EarlierAudit string
	// Wait is how long to wait until nothing is in flight; 0 means 30 s, negative means not at all.
	Wait time.Duration
	// Route is the placement of a virtual slot; order/shard's Map.Route is one. Nil checks only that it is a function of the slot.
	Route func(slot int) (database, table int)
	// Clock is for waiting; nil means the machine's.
	Clock clock.Clock
	// Progress, if not nil, is told what is being read.
	Progress func(step string)
}

// Validate names the field that is wrong.
func (o *Options) Validate() error {
	if o.Wait > time.Hour {
		return fmt.Errorf("wait is %v, at most 1h is allowed", o.Wait)
	}
	return nil
}

const (
	defaultWait = 30 * time.Second
	pollEvery   = 100 * time.Millisecond
	maxTries    = 5
)

// Run checks a source. An error means that nothing can be said (it wraps [ErrUnreachable] where the source could not be read);
// a report with verdict [Fail] is not an error.
func Run(ctx context.Context, src Source, o Options) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	start := o.Clock.Now()
	var suspects suspicion
	for try := 1; ; try++ {
		d, err := drain(ctx, src, &o)
		if err != nil {
			return Report{}, err
		}
		w, moved, err := read(ctx, src, &o, d.left, suspects.texts)
		if err != nil {
			return Report{}, err
		}
		rep := w.report(d, moved, &o)
		if suspects.again(w.tally, moved, src.InFlight != nil, try) || moved && try < maxTries && o.Wait > 0 && len(w.tally.counted) == 0 {
			o.Progress("records disagree or moved meanwhile; reading again")
			continue
		}
		rep.Took = o.Clock.Now().Sub(start)
		return rep, nil
	}
}

// drainage is what a drain left behind.
type drainage struct {
	left  map[string]int64
	stuck []string // of left, what never became less
}

// drain waits until nothing is in flight, or the time is up.
func drain(ctx context.Context, src Source, o *Options) (d drainage, err error) {
	if src.InFlight == nil {
		return d, nil
	}
	deadline, before, sank := o.Clock.Now().Add(o.Wait), map[string]int64{}, map[string]bool{}
	for {
		if d.left, err = src.InFlight(ctx); err != nil {
			return d, err
		}
		for name, n := range before {
			sank[name] = sank[name] || d.left[name] < n
		}
		before = maps.Clone(d.left)
		maps.DeleteFunc(d.left, func(_ string, n int64) bool { return n == 0 })
		if waits := waiting(d.left); len(waits) == 0 || o.Clock.Now().After(deadline) {
			d.stuck = slices.DeleteFunc(waits, func(name string) bool { return sank[name] })
			return d, nil
		}
		o.Progress("waiting until nothing is in flight: " + describe(d.left))
		t := o.Clock.NewTimer(pollEvery)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return d, ctx.Err()
		}
	}
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

// read reads everything once. moved says that the stock rows changed while it did. Of violations only those count that are among
// suspects, if that is not nil.
func read(ctx context.Context, src Source, o *Options, inFlight map[string]int64, suspects map[uint64]struct{}) (w *world, moved bool, err error) {
	o.Progress("reading the stock rows")
	before, err := src.Snapshot(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("snapshot: %w", err)
	}
	w = newWorld(before, len(inFlight) == 0, o)
	w.tally.suspects = suspects
	w.readers(inFlight)
	steps := map[string]func([]byte) error{
		"audit": w.audit, "claims": w.claim, "stock-ledger": w.ledger, "waiting": w.waiting, "orders": w.order, "order-events": w.event,
		"payments": w.payment, "balances": w.balance, "outbox": w.outbox, "dead-letters": w.deadLetter,
	}
	if err := w.openEarlier(o.EarlierAudit); err != nil {
		return nil, false, err
	}
	for _, name := range Exports {
		o.Progress("reading " + name)
		if err := lines(ctx, src.Export, name, steps[name]); err != nil {
			return nil, false, fmt.Errorf("export %s: %w", name, err)
		}
	}
	if err := w.readHistory(o.History); err != nil {
		return nil, false, err
	}
	after, err := src.Snapshot(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("snapshot: %w", err)
	}
	return w, w.markMoved(after), nil
}

func (w *world) report(d drainage, moved bool, o *Options) Report {
	w.drained = w.drained && !moved
	w.finish()
	list, ok := w.tally.close()
	rep := Report{Verdict: Pass, Invariants: list, Drained: len(d.left) == 0, InFlight: d.left, Figures: w.figures()}
	if moved {
		rep.Notes = append(rep.Notes, fmt.Sprintf("the stock moved while the records were read: %d stock rows were not compared with ledger and claims", w.counts["movedRows"]))
	}
	if n := len(w.tally.suspects) - len(w.tally.counted) + w.tally.passing; n > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d disagreements were gone when the records were read again: something moved between two of them", n))
	}
	switch {
	case rep.Drained:
	case len(d.stuck) > 0 && o.Wait > 0:
		ok = false
		rep.Notes = append(rep.Notes, fmt.Sprintf("not drained within %v: %s", o.Wait, describe(d.left)))
	case len(waiting(d.left)) > 0:
		rep.Notes = append(rep.Notes, "not drained: orders still on their way count as in flight, not as missing; "+describe(d.left))
	}
	if !ok {
		rep.Verdict = Fail
	}
	return rep
}

var errNoID = errors.New("the line names no order id")
