package stock

import (
	"context"

	"penstock/errs"
)

// act is any call of a batch that is not an attempt: a sale, a release, an operator's change. An error of run means that it
// changed nothing; run must check before it changes.
type act struct {
	needs func(*work)
	run   func(*work) error
	when  phase
	err   error
	done  chan struct{}
}

func (a *act) need(w *work)   { a.needs(w) }
func (a *act) phase() phase   { return a.when }
func (a *act) decide(w *work) { a.err = a.run(w) }

func (a *act) finish(err error) {
	if err != nil {
		a.err = codeFor(err)
	}
	close(a.done)
}

// do decides an act and waits until it is durable. At the deadline it returns errs.Unknown and the act goes on, so what run
// writes may be read only after nil.
func (s *Stock) do(ctx context.Context, needs func(*work), run func(*work) error) error {
	return s.doIn(ctx, changing, needs, run)
}

// doIn is do in a phase of the batch.
func (s *Stock) doIn(ctx context.Context, when phase, needs func(*work), run func(*work) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &act{needs: needs, run: run, when: when, done: make(chan struct{})}
	if !s.send(a) {
		return errs.Wrap(errs.ReducedCapacity, errClosed, "the stock takes no calls now; nothing was executed")
	}
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
	case <-s.late.after():
	}
	return errs.New(errs.Unknown, "the outcome is not known yet; ask again")
}
