package line

import (
	"context"
	"errors"
	"time"

	"penstock/errs"
)

// term is how long a line rests when the process that calls has died.
const term = 3 * time.Second

// atOnce bounds how many one round passes over.
const atOnce = 2000

// round makes the lines of sales to come, so that what a draw promises is known before anybody may enter it, and calls entries where
// this process does that.
func (l *Lines) round(ctx context.Context) error {
	now := l.opt.Clock.Now()
	l.forget()
	var all error
	for _, doc := range l.sales.Sales() {
		if !admits(doc) || now.After(doc.EndsAt.Add(time.Minute)) {
			continue
		}
		for _, it := range doc.Items {
			b, err := l.ensure(ctx, doc, it.SKU)
			if err == nil {
				err = l.tend(ctx, b, now)
			}
			all = errors.Join(all, err)
		}
	}
	return all
}

// tend does a line's round if there is something to do.
func (l *Lines) tend(ctx context.Context, b *book, now time.Time) error {
	if l.store.Shared() {
		if err := l.report(ctx, b, now); err != nil {
			return err
		}
	}
	if !l.opt.Calls || !l.due(b, now) {
		return nil
	}
	if ours, err := l.leads(ctx, b, now); !ours || err != nil {
		return err
	}
	slowest := l.slowest(b, now)
	return l.submit(ctx, b, &op{round: func(t *batch) { t.call(slowest) }})
}

// due says whether a round would find something to do.
func (l *Lines) due(b *book, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.draws && b.pot < 0 && now.UnixMilli() >= b.closed {
		return true
	}
	s := l.sight(b, now)
	return len(b.out) > 0 || b.mayCall() && s.open() && b.count[waiting] > 0 && s.budget() > 0
}

// mayCall says whether the order stands. mu is held.
func (b *book) mayCall() bool { return !b.draws || b.place != nil }

// call ends what has run out, passes over who is silent at the head, and calls as many as the stock and the pace allow.
func (t *batch) call(slowest time.Duration) {
	b, s := t.b, t.rules
	t.runOut()
	b.pace.set(t.now, float64(s.rules.Rate), slowest, t.l.opt.Target)
	if s.over != nil || !s.open() || !b.mayCall() {
		return
	}
	want := min(s.budget(), b.count[waiting])
	if t.now.Before(s.doc.StartsAt) { // a burst at the opening, no longer than two seconds of the pace
		want = min(want, max(2*s.rules.Rate-b.count[called]-b.count[passed], 0))
	}
	n := b.pace.take(want)
	over := 0
	for k := 0; n > 0 && over < atOnce; k++ {
		place, ok := b.ahead.nth(k)
		if !ok {
			break
		}
		seq := b.seqAt(place)
		if _, moves := t.moves[seq]; moves {
			continue
		}
		if b.entries[seq-1].present(t.now, s.rules.Away) {
			t.move(seq, called, 0)
			n--
		} else {
			t.move(seq, away, 0)
			over++
		}
	}
	b.pace.tokens += float64(n)
}

// runOut ends passes that were not used in time, and takes calls back that nobody answered.
func (t *batch) runOut() {
	b, now := t.b, t.now.UnixMilli()
	keep := b.out[:0]
	for _, seq := range b.out {
		e := &b.entries[seq-1]
		switch {
		case e.state == passed && now >= e.expires+grace.Milliseconds():
			t.move(seq, expired, 0)
		case e.state == called && now-e.since >= t.rules.rules.Away.Milliseconds() && !e.present(t.now, t.rules.rules.Away):
			t.move(seq, away, 0)
		}
		if e.out = e.state == called || e.state == passed; e.out {
			keep = append(keep, seq)
		}
	}
	b.out = keep
}

// grace is how long after its end a pass still counts: an attempt that was made with it may be under way.
const grace = time.Second

// listing is how long the list of a closed pot is out before a value is taken: longer than other processes and caches need to show it.
const listing = 2 * time.Second

// publicValue is what a draw waited for.
type publicValue struct{ text string }

// Give gives the public value, of 1 to 1024 bytes, to the draws of a sale. The same value again changes nothing; another, or any
// where there is no draw, is a conflict. Before the list of a pot has been out for a moment it is illegal-transition, because then
// it would be no later value: whoever knew it could still try out lists.
func (l *Lines) Give(ctx context.Context, saleID, value string) error {
	doc, err := l.admits(saleID)
	if err != nil {
		return err
	}
	if value == "" || len(value) > 1024 {
		e := errs.New(errs.Invalid, "the public value is not valid")
		e.Fields = []errs.Field{{Pointer: "/value", Detail: "must be 1 to 1024 bytes"}}
		return e
	}
	for _, it := range doc.Items {
		b, err := l.ensure(ctx, doc, it.SKU)
		if err != nil {
			return err
		}
		var refused error
		if err := l.submit(ctx, b, &op{round: func(t *batch) { refused = t.give(value) }}); err != nil {
			return err
		}
		if refused != nil {
			return refused
		}
	}
	return nil
}

func (t *batch) give(value string) error {
	b := t.b
	switch {
	case !b.draws:
		return errs.New(errs.Conflict, "the sale has no draw")
	case b.valued != 0 && b.value != value, t.value != nil && t.value.text != value:
		return errs.New(errs.Conflict, "the draw has its public value already")
	case b.pot < 0 && !t.close:
		return errs.New(errs.IllegalTransition, "the pot is open until %s; a value that is known before is no later value", time.UnixMilli(b.closed).UTC().Format(time.RFC3339))
	case b.pot < 0 || t.now.Sub(time.UnixMilli(b.listed)) < listing:
		return errs.New(errs.IllegalTransition, "the list of entrants must be out for %v first; a value that is known before is no later value", listing)
	case b.valued == 0:
		t.value = &publicValue{value}
	}
	return nil
}
