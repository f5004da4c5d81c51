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
	for try := 1; ; try++ {
		inFlight, err := drain(ctx, src, &o)
		if err != nil {
			return Report{}, err
		}
		w, moved, err := read(ctx, src, &o, len(inFlight) == 0)
		if err != nil {
			return Report{}, err
		}
		if moved && try < maxTries && o.Wait > 0 {
			o.Progress("the stock moved meanwhile; reading again")
			continue
		}
		rep := w.report(inFlight, moved, &o)
		rep.Took = o.Clock.Now().Sub(start)
		return rep, nil
	}
}

// drain waits until nothing is in flight and returns what still is when the time is up.
func drain(ctx context.Context, src Source, o *Options) (map[string]int64, error) {
	if src.InFlight == nil {
		return nil, nil
	}
	deadline := o.Clock.Now().Add(o.Wait)
	for {
		left, err := src.InFlight(ctx)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(left, func(_ string, n int64) bool { return n == 0 })
		if len(left) == 0 || o.Clock.Now().After(deadline) {
			return left, nil
		}
		o.Progress("waiting until nothing is in flight: " + describe(left))
		t := o.Clock.NewTimer(pollEvery)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

func describe(left map[string]int64) string {
	names := slices.Sorted(maps.Keys(left))
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, left[n])
	}
	return strings.Join(names, ", ")
}

// read reads everything once. moved says that the stock rows changed while it did.
func read(ctx context.Context, src Source, o *Options, drained bool) (w *world, moved bool, err error) {
	o.Progress("reading the stock rows")
	before, err := src.Snapshot(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("snapshot: %w", err)
	}
	w = newWorld(before, drained, o)
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
	return w, !slices.Equal(before.Stock, after.Stock), nil
}

func (w *world) report(inFlight map[string]int64, moved bool, o *Options) Report {
	w.finish()
	list, ok := w.tally.close()
	rep := Report{Verdict: Pass, Invariants: list, Drained: len(inFlight) == 0, InFlight: inFlight, Figures: w.figures()}
	if moved {
		rep.Notes = append(rep.Notes, "the stock rows changed while the exports were read: records may disagree because of that")
	}
	if !rep.Drained && o.Wait > 0 {
		ok = false
		rep.Notes = append(rep.Notes, fmt.Sprintf("not drained within %v: %s", o.Wait, describe(inFlight)))
	}
	if !rep.Drained && o.Wait < 0 {
		rep.Notes = append(rep.Notes, "not drained: orders still on their way count as in flight, not as missing; "+describe(inFlight))
	}
	if !ok {
		rep.Verdict = Fail
	}
	return rep
}

var errNoID = errors.New("the line names no order id")
