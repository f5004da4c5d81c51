package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// patience bounds how long a case waits for something that must happen.
const patience = 20 * time.Second

// While a decision is being made, every reader answers at once with what was committed before.
func readsDoNotWait(t testing.TB, h Harness) {
	d := newDB(t, h)
	fill(d)
	before := d.snapshot()
	w := d.winning(driver.Key{Sale: "s", User: "late", Key: "k"}, line("a", 1))
	old := d.journal()[3].Attempt
	inside, leave, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		r := readsOf(w)
		entered := false
		result <- d.decide(r, func(st *driver.State) *driver.Changes {
			if !entered {
				close(inside)
				entered = true
			}
			<-leave
			ch, _ := binding(r, st, w)
			return ch
		})
	}()
	select {
	case <-inside:
	case err := <-result:
		t.Fatalf("decide returned %v without deciding", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience/5)
	defer cancel()
	reads := map[string]func() error{
		"Attempt": func() error {
			a, err := d.drv.Attempt(ctx, w.Key)
			if a != nil {
				return fmt.Errorf("found %+v, which is not committed", a)
			}
			return err
		},
		"Claim":  func() error { _, err := d.drv.Claim(ctx, old.ID); return err },
		"Unsent": func() error { _, err := d.drv.Unsent(ctx, old.Key.User); return err },
		"Due":    func() error { _, err := d.drv.Due(ctx, far, 100); return err },
		"Snapshot": func() error {
			s, err := d.drv.Snapshot(ctx)
			if err == nil && s.Seq != before.Seq {
				return fmt.Errorf("is at %d, want %d", s.Seq, before.Seq)
			}
			return err
		},
		"Journal": func() error { _, err := d.drv.Journal(ctx, 0, 100); return err },
		"Audit":   func() error { _, err := d.drv.Audit(ctx, 0, 100); return err },
	}
	for name, read := range reads {
		done := make(chan error, 1)
		go func() { done <- read() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s beside a decision: %v", name, err)
			}
		case <-ctx.Done():
			t.Errorf("%s waits for the writer", name)
		}
	}
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("the decision beside the reads: %v", err)
	}
}

// Closing and opening again changes nothing that a reader or a decision can find, and numbering goes on after it.
func everythingSurvivesReopening(t testing.TB, h Harness) {
	d := newDB(t, h)
	fill(d)
	for range 2 {
		before := d.dump()
		d.reopen()
		same(t, "everything after reopening", d.dump(), before)
		w := d.win(driver.Key{Sale: "s", User: "u0", Key: fmt.Sprint("after ", before.Seq)}, line("a", 1))
		if a := d.attempt(w.Key); a == nil || a.Seq <= before.Seq {
			t.Errorf("after reopening at %d the next win is %+v", before.Seq, a)
		}
	}
	checkSnapshot(t, d.snapshot(), d.journal())
}

// What a decision was told to be durable is there after the process died without closing.
func everythingSurvivesACrash(t testing.TB, h Harness) {
	if h.Crash == nil {
		t.Skip("the harness cannot crash this engine")
	}
	d := newDB(t, h)
	fill(d)
	for i := range 2 {
		before := d.dump()
		d.drv = h.Crash(t, d.drv, d.clk, d.faults)
		same(t, "everything after a crash", d.dump(), before)
		d.win(driver.Key{Sale: "s", User: "u0", Key: fmt.Sprint("after ", i)}, line("a", 1))
	}
	checkSnapshot(t, d.snapshot(), d.journal())
}

// settle decides the attempt under its key until the outcome is known, as a caller has to after ErrUnknown.
func (d *db) settle(a *driver.Attempt) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	for {
		r := readsOf(a)
		err := d.drv.Decide(ctx, r, func(st *driver.State) *driver.Changes {
			if st.Known[0] != nil {
				return nil
			}
			ch, err := binding(r, st, a)
			if err != nil {
				d.Error(err)
			}
			return ch
		})
		if err == nil {
			return
		}
		if ctx.Err() != nil || !errors.Is(err, driver.ErrUnknown) && !errors.Is(err, driver.ErrUnavailable) {
			d.Fatalf("settling %+q: %v", a.Key, err)
		}
	}
}

// losing returns a plan by which the first n commits of each round of hits lose their reply.
func losing(n int) func(hit int) error {
	return func(hit int) error {
		if hit <= n {
			return errors.New("the reply to the commit is lost")
		}
		return nil
	}
}

// After a commit of unknown outcome, deciding the same key again leads to exactly one binding, and nothing of it is half there.
func unknownCommitSettles(t testing.TB, h Harness) {
	if len(h.FaultCommits) == 0 {
		t.Skip("the driver has no fault point at its commit")
	}
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 100, "b": 100})
	var all []*driver.Attempt
	for i := range 3 * len(h.FaultCommits) {
		point := h.FaultCommits[i%len(h.FaultCommits)]
		a := d.winning(driver.Key{Sale: "s", User: "u", Key: fmt.Sprint("k", i)}, line("a", 1), line("b", 2))
		all = append(all, a)
		d.faults.Set(point, losing(1+i%3))
		r := readsOf(a)
		err := d.decide(r, func(st *driver.State) *driver.Changes {
			ch, _ := binding(r, st, a)
			return ch
		})
		if !errors.Is(err, driver.ErrUnknown) {
			t.Fatalf("a commit without reply: %v, want ErrUnknown", err)
		}
		d.settle(a)
		d.faults.Set(point, nil)
	}
	check := func(when string) {
		holds := map[driver.Key]int{}
		for _, e := range d.journal() {
			if e.Kind == driver.Hold {
				holds[e.Attempt.Key]++
			}
		}
		for _, a := range all {
			same(t, when+": the binding", d.attempt(a.Key), a, noSeq)
			if holds[a.Key] != 1 {
				t.Errorf("%s: key %q is held %d times", when, a.Key.Key, holds[a.Key])
			}
		}
		if n := d.taken(driver.TakenRef{Sale: "s", SKU: "b", User: "u"}); n != 2*int64(len(all)) {
			t.Errorf("%s: the user has taken %d of b, want %d", when, n, 2*len(all))
		}
		checkSnapshot(t, d.snapshot(), d.journal())
	}
	check("settled")
	d.reopen()
	check("reopened")
}

// Tidying up closed sales changes no answer, entry or message, and a claim of such a sale can still be refunded, once. Only
// the allowances may go: nobody can buy there any more.
func tidyingChangesNoAnswer(t testing.TB, h Harness) {
	d := newDB(t, h)
	fill(d)
	var sold *driver.Attempt
	for _, id := range d.due(far, 100) {
		sold = d.claim(id)
		d.move(sold, driver.Sold, "")
	}
	d.clk.advance(100 * 24 * time.Hour)
	kept := func() dump {
		all := d.dump()
		all.Taken = nil
		return all
	}
	before := kept()
	for range 2 {
		d.h.Tidy(t, d.drv)
		same(t, "everything after tidying", kept(), before)
	}
	d.reopen()
	same(t, "everything after tidying and reopening", kept(), before)
	d.move(sold, driver.Released, "refunded")
	r := readsOf(sold)
	r.Claims = []ident.ID{sold.ID}
	err := d.decide(r, func(*driver.State) *driver.Changes {
		return &driver.Changes{Moves: []driver.Move{{ID: sold.ID, From: driver.Sold, To: driver.Released}}}
	})
	if err == nil {
		t.Error("a refund of a closed sale can be made twice")
	}
	after := kept()
	d.h.Tidy(t, d.drv)
	d.reopen()
	same(t, "everything after a late refund", kept(), after)
	checkSnapshot(t, d.snapshot(), d.journal())
}

// Close may be called twice; after it nothing is decided and no call hangs or panics.
func closeIsIdempotentAndFinal(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 1})
	for range 2 {
		if err := d.drv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	w := d.winning(driver.Key{Sale: "s", User: "u", Key: "k"}, line("a", 1))
	r := readsOf(w)
	err := d.decide(r, func(st *driver.State) *driver.Changes {
		ch, _ := binding(r, st, w)
		return ch
	})
	if err == nil || errors.Is(err, driver.ErrUnknown) {
		t.Errorf("deciding on a closed database: %v, want an error that is not ErrUnknown", err)
	}
	d.drv = h.Reopen(t, d.drv, d.clk, d.faults)
	if a := d.attempt(w.Key); a != nil {
		t.Errorf("a decision after close is there: %+v", a)
	}
}
