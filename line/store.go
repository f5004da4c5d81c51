package line

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"penstock/engine/sqldb"
)

// slotOfAll is the slot under which lines are made; others are those of lines.
const slotOfAll = sqldb.Slots - 1

func (b *book) slot() int { return int(b.id % slotOfAll) }

// querier reads in or outside a transaction.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// rows is a row to scan.
type rows = *sql.Rows

// reading reads outside a transaction.
type reading struct {
	ctx context.Context
	s   Store
}

func (r reading) Query(query string, args ...any) (*sql.Rows, error) {
	return r.s.Query(r.ctx, query, args...)
}

// each calls f for every row.
func each(q querier, f func(rows) error, query string, args ...any) error {
	all, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer all.Close()
	for all.Next() {
		if err := f(all); err != nil {
			return err
		}
	}
	return all.Err()
}

// header is a row of line_lines.
type header struct {
	id             int64
	sale, sku      string
	draws          bool
	changes        int64
	pot, closed    int64
	listed         int64
	secret, salt   []byte
	source, value  string
	valued         int64
	caller         string
	until, nextSeq int64
}

const headers = `SELECT id, sale, sku, draw, next_seq, changes, pot, closed_at, secret, salt, source, value, valued_at, caller, caller_until, listed_at FROM line_lines`

func (h *header) scan(r rows) error {
	return r.Scan(&h.id, &h.sale, &h.sku, &h.draws, &h.nextSeq, &h.changes, &h.pot, &h.closed, &h.secret, &h.salt, &h.source, &h.value, &h.valued, &h.caller, &h.until, &h.listed)
}

func (b *book) header(q querier) (h header, err error) {
	err = each(q, h.scan, headers+` WHERE id=?`, b.id)
	if err == nil && h.id == 0 {
		err = fmt.Errorf("line %d has lost its row", b.id)
	}
	return h, err
}

// makeLine makes the line of a sale's SKU, with a secret of its own, or does nothing if it is there.
func (l *Lines) makeLine(ctx context.Context, sale, sku string, d *drawing) error {
	secret, salt := make([]byte, 32), make([]byte, 32)
	for _, b := range [][]byte{secret, salt} {
		if _, err := io.ReadFull(l.opt.Random, b); err != nil {
			return fmt.Errorf("make a secret: %w", err)
		}
	}
	return l.store.Do(ctx, slotOfAll, func(tx Tx) error {
		var id int64
		err := tx.Scan(`SELECT id FROM line_lines WHERE sale=? AND sku=?`, []any{sale, sku}, &id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := tx.Scan(`SELECT coalesce(max(id), 0)+1 FROM line_lines`, nil, &id); err != nil {
			return err
		}
		draws, closes, source := 0, int64(0), ""
		if d != nil {
			draws, closes, source = 1, d.closes.UnixMilli(), d.source
		}
		_, err = tx.Exec(`INSERT INTO line_lines (id, sale, sku, draw, next_seq, changes, pot, closed_at, secret, salt, source, value, valued_at, caller, caller_until)
			VALUES (?,?,?,?,1,0,-1,?,?,?,?,'',0,'',0)`, id, sale, sku, draws, closes, secret, salt, source)
		return err
	})
}

// drawing is what a draw promises.
type drawing struct {
	closes time.Time
	source string
}

// Tx is the transaction of a Store.
type Tx = sqldb.Tx

// news is what was committed since a book was last read.
type news struct {
	header  header
	after   int // entries that the book had
	entries []entry
	moves   []moved
	changes int64
}

// fetch reads what was committed since the book was last read. mu is not held.
func (b *book) fetch(q querier) (w news, err error) {
	b.mu.Lock()
	w.after, w.changes = len(b.entries), b.changes
	b.mu.Unlock()
	if w.header, err = b.header(q); err != nil {
		return w, err
	}
	err = each(q, func(r rows) error {
		var e entry
		err := r.Scan(&e.user, &e.state, &e.joined, &e.expires)
		w.entries = append(w.entries, e)
		return err
	}, `SELECT user, state, joined_at, expires_at FROM line_entries WHERE line=? AND seq>? ORDER BY seq`, b.id, w.after)
	if err != nil {
		return w, err
	}
	// Batches become visible in their order, so what is seen of the newest is all there is up to it.
	err = each(q, func(r rows) error {
		var m moved
		err := r.Scan(&w.changes, &m.seq, &m.state, &m.at, &m.expires, &m.units)
		w.moves = append(w.moves, m)
		return err
	}, `SELECT n, seq, state, at, expires_at, units FROM line_moves WHERE line=? AND n>? ORDER BY n, seq`, b.id, w.changes)
	return w, err
}

// take takes over news. Nobody is thought to be away because we were. mu is held.
func (b *book) take(w news, now time.Time) {
	for i, e := range w.entries {
		if w.after+i == len(b.entries) {
			e.seen, e.since = now.UnixMilli(), now.UnixMilli()
			b.append(e)
		}
	}
	for _, m := range w.moves {
		if int(m.seq) <= len(b.entries) {
			b.move(m, now)
		}
	}
	if int(w.header.nextSeq) <= len(b.entries)+1 {
		w.changes = max(w.changes, w.header.changes)
	}
	b.changes = max(b.changes, w.changes)
	b.potClosed(w.header.pot, w.header.listed, w.header.value, w.header.valued)
	b.behind = false
}

// moved is an entry's new state.
type moved struct {
	seq     uint64
	state   state
	at      int64
	expires int64
	units   int64
}

// chunks are the sizes in which rows are written, so that few statements are prepared.
var chunks = [...]int{64, 8, 1}

// insert writes rows of so many columns.
func insert(tx Tx, into string, columns int, values []any) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + "),"
	for _, size := range chunks {
		query := into + strings.TrimSuffix(strings.Repeat(one, size), ",")
		for n := size * columns; len(values) >= n; values = values[n:] {
			if _, err := tx.Exec(query, values[:n]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// update sets the states of entries that share one.
func update(tx Tx, line int64, to moved, seqs []any) error {
	set := `UPDATE line_entries SET state=?, live=0, expires_at=?`
	if !to.state.live() {
		set = `UPDATE line_entries SET state=?, live=seq, expires_at=?`
	}
	for _, size := range chunks {
		query := set + ` WHERE line=? AND seq IN (` + strings.TrimSuffix(strings.Repeat("?,", size), ",") + `)`
		for ; len(seqs) >= size; seqs = seqs[size:] {
			if _, err := tx.Exec(query, append([]any{int64(to.state), to.expires, line}, seqs[:size]...)...); err != nil {
				return err
			}
		}
	}
	return nil
}
