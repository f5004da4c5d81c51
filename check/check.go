package check

import (
	"context"
	"errors"
	"fmt"
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
	waits := drainer{src: src, o: &o}
	for try := 1; ; try++ {
		d, err := waits.drain(ctx)
		if err != nil {
			return Report{}, err
		}
		w, moved, err := read(ctx, src, &o, d.left, suspects.texts)
		if err != nil {
			return Report{}, err
		}
		rep := w.report(d, moved, &o)
		if suspects.again(w.tally, moved, src.InFlight != nil, try) || moved && rep.Drained && try < maxTries && o.Wait > 0 && len(w.tally.counted) == 0 {
			o.Progress("records disagree or moved meanwhile; reading again")
			continue
		}
		rep.Took = o.Clock.Now().Sub(start)
		return rep, nil
	}
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
	w.files(src.Files)
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
