package line

import (
	"context"
	"errors"
	"time"

	"penstock/errs"
)

// op is one wish of a batch: to join, to move an entry, or to do the caller's round.
type op struct {
	// A join has a user and what he proved (see proof.go). after is his last entry before, -1 where no proof is asked for.
	user  string
	after int64
	// A move has an entry; to is tried from any of the states in from.
	seq   uint64
	to    state
	from  uint8 // bits of states
	units int64
	// A round decides for itself.
	round func(*batch)

	seqOut uint64
	fresh  bool // a join that made an entry
	err    error
	done   chan struct{} // nil when nobody waits
}

func bit(all ...state) (set uint8) {
	for _, s := range all {
		set |= 1 << s
	}
	return set
}

// batch is what one transaction decides: over the book, without changing it until the commit.
type batch struct {
	l     *Lines
	b     *book
	now   time.Time
	rules sight
	join  []entry
	users map[string]uint64
	moves map[uint64]moved
	order []uint64 // of moves, as they were decided
	close bool     // the pot
	value *publicValue
	later []*op // touch what this batch has moved already
}

const most = 512

// submit puts an op into the line's queue and waits for its outcome.
func (l *Lines) submit(ctx context.Context, b *book, o *op) error {
	o.done = make(chan struct{})
	l.post(b, o)
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return errs.Wrap(errs.Unknown, ctx.Err(), "the outcome is not known yet; ask again")
	}
}

// post puts an op into the queue and does not wait.
func (l *Lines) post(b *book, o *op) {
	if b.enqueue(o) {
		l.background.Go(func() { l.drain(b) })
	}
}

func (b *book) enqueue(o *op) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, o)
	first = !b.writing
	b.writing = true
	return first
}

// drain runs batches until the queue is empty.
func (l *Lines) drain(b *book) {
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.writing = false
			b.mu.Unlock()
			return
		}
		n := min(len(b.queue), most)
		ops := append([]*op(nil), b.queue[:n]...)
		b.queue = append(b.queue[:0], b.queue[n:]...)
		b.mu.Unlock()
		l.run(b, ops)
	}
}

// run decides ops in one transaction, takes over what it changed and answers.
func (l *Lines) run(b *book, ops []*op) {
	var t *batch
	err := l.store.Do(context.Background(), b.slot(), func(tx Tx) error {
		if err := l.catchUp(b, tx); err != nil {
			return err
		}
		t = l.decide(b, ops)
		return t.write(tx)
	})
	b.mu.Lock()
	if err == nil {
		t.commit()
	} else {
		b.behind = true
	}
	b.mu.Unlock()
	for _, o := range ops {
		if err != nil {
			o.err = err
		}
	}
	if err == nil {
		b.again(t.later)
		ops = without(ops, t.later)
	} else {
		l.opt.Logger.Warn("a batch of a line failed", "line", b.id, "sale", b.sale, "error", err.Error())
	}
	for _, o := range ops {
		if o.done != nil {
			close(o.done)
		}
	}
	b.waiters.wake()
}

// catchUp reads what others committed; under the slot nothing more can come. Alone there are no others.
func (l *Lines) catchUp(b *book, tx Tx) error {
	b.mu.Lock()
	alone := !l.store.Shared() && !b.behind
	b.mu.Unlock()
	if alone {
		return nil
	}
	w, err := b.fetch(tx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(w, l.opt.Clock.Now())
	return nil
}

func (l *Lines) decide(b *book, ops []*op) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := l.opt.Clock.Now()
	t := &batch{l: l, b: b, now: now, users: map[string]uint64{}, moves: map[uint64]moved{}, rules: l.sight(b, now)}
	t.decide(ops)
	return t
}

func (b *book) again(later []*op) {
	if len(later) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(later, b.queue...)
}

func without(ops, some []*op) []*op {
	if len(some) == 0 {
		return ops
	}
	skip := map[*op]bool{}
	for _, o := range some {
		skip[o] = true
	}
	var rest []*op
	for _, o := range ops {
		if !skip[o] {
			rest = append(rest, o)
		}
	}
	return rest
}

// decide decides rounds first, so that nobody is passed over who came back in the same batch.
func (t *batch) decide(ops []*op) {
	t.closePot()
	for _, o := range ops {
		o.err, o.seqOut, o.fresh = nil, 0, false // it may have been decided in a transaction that was rolled back
		if o.round != nil {
			o.round(t)
		}
	}
	for _, o := range ops {
		switch {
		case o.round != nil:
		case o.user != "":
			t.joins(o)
		default:
			t.tries(o)
		}
	}
}

// closePot closes the pot of a draw when it is time, in front of everything else.
func (t *batch) closePot() {
	t.close = t.b.draws && t.b.pot < 0 && t.now.UnixMilli() >= t.b.closed
}

// joins gives the user his live entry, or a new one at the end.
func (t *batch) joins(o *op) {
	b := t.b
	if seq, ok := t.users[o.user]; ok {
		o.seqOut = seq
		return
	}
	last := b.users[o.user]
	if last > 0 && b.entries[last-1].state.live() {
		if _, moves := t.moves[last]; moves {
			t.later = append(t.later, o)
			return
		}
		o.seqOut = last
		return
	}
	if o.after >= 0 && uint64(o.after) != last {
		o.err = errStale
		return
	}
	if err := t.rules.refuses(len(t.join)); err != nil {
		o.err = err
		return
	}
	t.join = append(t.join, entry{user: o.user, joined: t.now.UnixMilli(), seen: t.now.UnixMilli(), since: t.now.UnixMilli()})
	o.seqOut, o.fresh = uint64(len(b.entries)+len(t.join)), true
	t.users[o.user] = o.seqOut
}

var errStale = errors.New("the proof was for an entry before")

// tries moves an entry if it is in one of the states it may be moved from. Else nothing happens: the caller looks at what is.
func (t *batch) tries(o *op) {
	if _, moves := t.moves[o.seq]; moves {
		t.later = append(t.later, o)
		return
	}
	if o.seq == 0 || int(o.seq) > len(t.b.entries) || o.from&bit(t.b.entries[o.seq-1].state) == 0 {
		return
	}
	t.move(o.seq, o.to, o.units)
}

// move decides a move; an entry moves once in a batch.
func (t *batch) move(seq uint64, to state, units int64) {
	m := moved{seq: seq, state: to, at: t.now.UnixMilli(), units: units}
	if to == passed {
		m.expires = t.rules.expiry(t.now).UnixMilli()
	}
	t.moves[seq] = m
	t.order = append(t.order, seq)
}

// write writes what was decided. The book does not change meanwhile: only batches change it, and the slot keeps those of others out.
func (t *batch) write(tx Tx) error {
	b := t.b
	if len(t.join)+len(t.moves) == 0 && !t.close && t.value == nil {
		return nil
	}
	n := b.changes + 1
	rows := make([]any, 0, 8*len(t.join))
	for i, e := range t.join {
		rows = append(rows, b.id, int64(len(b.entries)+i+1), e.user, 0, int64(waiting), e.joined, n, 0)
	}
	if err := insert(tx, `INSERT INTO line_entries (line, seq, user, live, state, joined_at, joined_n, expires_at) VALUES `, 8, rows); err != nil {
		return err
	}
	rows = rows[:0]
	groups := map[moved][]any{}
	for _, seq := range t.order {
		m := t.moves[seq]
		rows = append(rows, b.id, n, int64(seq), int64(m.state), m.at, m.expires, m.units)
		group := moved{state: m.state, expires: m.expires}
		groups[group] = append(groups[group], int64(seq))
	}
	if err := insert(tx, `INSERT INTO line_moves (line, n, seq, state, at, expires_at, units) VALUES `, 7, rows); err != nil {
		return err
	}
	for to, seqs := range groups {
		if err := update(tx, b.id, to, seqs); err != nil {
			return err
		}
	}
	return t.writeHeader(tx, n)
}

func (t *batch) writeHeader(tx Tx, n int64) error {
	b := t.b
	pot, listed, value, valued := t.drawn()
	_, err := tx.Exec(`UPDATE line_lines SET next_seq=?, changes=?, pot=?, listed_at=?, value=?, valued_at=? WHERE id=?`,
		len(b.entries)+len(t.join)+1, n, pot, listed, value, valued, b.id)
	return err
}

// drawn is what the draw has come to with this batch.
func (t *batch) drawn() (pot, listed int64, value string, valued int64) {
	b := t.b
	pot, listed, value, valued = b.pot, b.listed, b.value, b.valued
	if t.close {
		pot, listed = int64(len(b.entries)), t.now.UnixMilli()
	}
	if t.value != nil {
		value, valued = t.value.text, t.now.UnixMilli()
	}
	return pot, listed, value, valued
}

// commit takes over what is durable now. mu is held.
func (t *batch) commit() {
	b := t.b
	if len(t.join)+len(t.moves) == 0 && !t.close && t.value == nil {
		return
	}
	b.changes++
	if t.close || t.value != nil {
		b.potClosed(t.drawn())
	}
	for _, e := range t.join {
		b.append(e)
	}
	calls, see := 0, t.l.opt.Observer
	for _, seq := range t.order {
		m := t.moves[seq]
		if m.state == called {
			calls++
			if see.Waited != nil {
				see.Waited(time.Duration(m.at-b.entries[seq-1].joined) * time.Millisecond)
			}
		}
		b.move(m, t.now)
	}
	see.Joined.add(len(t.join))
	see.Called.add(calls)
}
