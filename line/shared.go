package line

import (
	"context"
	"encoding/binary"
	"time"
)

// node is what another process last told of a line.
type node struct {
	at      int64 // by its clock
	heard   time.Time
	latency time.Duration
}

// follow takes over what other processes did.
func (l *Lines) follow(ctx context.Context) error {
	q, begun := reading{ctx, l.store}, l.opt.Clock.Now()
	var all []header
	if err := each(q, func(r rows) error {
		var h header
		err := h.scan(r)
		all = append(all, h)
		return err
	}, headers); err != nil {
		return err
	}
	for i := range all {
		b := l.known(all[i].id)
		if b == nil || !b.older(all[i]) {
			continue
		}
		w, err := b.fetch(q)
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.take(w, l.opt.Clock.Now())
		b.mu.Unlock()
		b.waiters.wake()
	}
	l.heard.Store(begun.UnixNano())
	l.looks.wake()
	return nil
}

// known is a book that is in memory, without asking for it: to follow it is no reason to keep it.
func (l *Lines) known(id int64) *book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.byID[id]
}

func (b *book) older(h header) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return h.changes > b.changes || int(h.nextSeq)-1 > len(b.entries) || b.behind
}

// leads takes or keeps the lease to call; alone it needs none. Two that lead for a moment do no harm: rounds are decided one at a time
// over what is committed.
func (l *Lines) leads(ctx context.Context, b *book, now time.Time) (bool, error) {
	if !l.store.Shared() {
		return true, nil
	}
	if now.Before(b.lease.Add(-term / 2)) {
		return true, nil
	}
	var got int64
	err := l.store.Do(ctx, -1, func(tx Tx) (err error) {
		got, err = tx.Exec(`UPDATE line_lines SET caller=?, caller_until=? WHERE id=? AND (caller=? OR caller_until<?)`,
			l.node, now.Add(term).UnixMilli(), b.id, l.node, now.UnixMilli())
		return err
	})
	if err == nil && got == 1 {
		b.lease = now.Add(term)
	}
	return now.Before(b.lease), err
}

// resign lets another process call at once.
func (l *Lines) resign(ctx context.Context) {
	if !l.store.Shared() {
		return
	}
	err := l.store.Do(ctx, -1, func(tx Tx) error {
		_, err := tx.Exec(`UPDATE line_lines SET caller_until=0 WHERE caller=?`, l.node)
		return err
	})
	if err != nil {
		l.opt.Logger.Warn("lines: the lease runs out by itself", "error", err.Error())
	}
}

// window is how many at the head of a line it is worth knowing whether they are there.
const window = 4096

// report tells the caller, once a second, which of the next users were seen here and how long decisions take here, and hears what others
// tell.
func (l *Lines) report(ctx context.Context, b *book, now time.Time) error {
	b.mu.Lock()
	if now.Sub(b.asked) < time.Second {
		b.mu.Unlock()
		return nil
	}
	b.asked = now
	seen := l.seenHere(b, now)
	idle := len(seen) == 0 && b.count[waiting]+b.count[called]+b.count[passed] == 0
	b.mu.Unlock()
	if idle {
		return nil
	}
	err := l.store.Do(ctx, -1, func(tx Tx) error {
		row := []any{now.UnixMilli(), l.latency.Load(), seen, b.id, l.node}
		if n, err := tx.Exec(`UPDATE line_nodes SET at=?, latency=?, seen=? WHERE line=? AND node=?`, row...); n > 0 || err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO line_nodes (at, latency, seen, line, node) VALUES (?,?,?,?,?)`, row...)
		return err
	})
	if err != nil {
		return err
	}
	return l.hear(ctx, b, now)
}

// seenHere lists who of the next in line was seen by this process. mu is held.
func (l *Lines) seenHere(b *book, now time.Time) []byte {
	rules := l.sight(b, now).rules
	list := []byte{}
	for k := range window {
		place, ok := b.ahead.nth(k)
		if !ok {
			break
		}
		seq := b.seqAt(place)
		if now.UnixMilli()-b.entries[seq-1].here < rules.Away.Milliseconds()/2 { // it counts as seen now where it is heard
			list = binary.AppendUvarint(list, seq)
		}
	}
	return list
}

// hear reads what others told. Their clocks do not matter: what has changed is new.
func (l *Lines) hear(ctx context.Context, b *book, now time.Time) error {
	heard := map[string]node{}
	err := each(reading{ctx, l.store}, func(r rows) error {
		var name string
		var n node
		var seen []byte
		if err := r.Scan(&name, &n.at, &n.latency, &seen); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		was := b.nodes[name]
		if n.heard = was.heard; n.at != was.at {
			n.heard = now
			b.mark(seen, now)
		}
		heard[name] = n
		return nil
	}, `SELECT node, at, latency, seen FROM line_nodes WHERE line=? AND node<>?`, b.id, l.node)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.nodes = heard
	}
	return err
}

// mark notes who was seen elsewhere. mu is held.
func (b *book) mark(seen []byte, now time.Time) {
	for len(seen) > 0 {
		seq, n := binary.Uvarint(seen)
		if n <= 0 {
			return
		}
		seen = seen[n:]
		if seq > 0 && int(seq) <= len(b.entries) {
			b.entries[seq-1].seen = now.UnixMilli()
		}
	}
}

// slowest is the longest that decisions take in any process that was heard of lately.
func (l *Lines) slowest(b *book, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := time.Duration(l.latency.Load())
	for _, n := range b.nodes {
		if now.Sub(n.heard) < 2*term {
			d = max(d, n.latency)
		}
	}
	return d
}
