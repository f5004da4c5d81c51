package line

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Record is a line of the export "line": first every entry of a line by its number, then every move by the number of its batch. N is
// the number of the batch that made the entry or the move.
type Record struct {
	Kind  string    `json:"kind"` // entry, move
	Sale  string    `json:"sale"`
	SKU   string    `json:"sku"`
	Entry string    `json:"entry"`
	Seq   uint64    `json:"seq"`
	N     int64     `json:"n"`
	At    time.Time `json:"at"`
	User  string    `json:"user,omitempty"`
	// Drawn is the place that a draw gave, from 1.
	Drawn int `json:"drawn,omitempty"`
	// State is what the entry moved to: waiting (again), away, called, admitted, used, expired, left.
	State string `json:"state,omitempty"`
}

const page = 1000

// Export writes every line, as of the moment it comes to it, in short pages.
func (l *Lines) Export(ctx context.Context, w io.Writer) error {
	q := reading{ctx, l.store}
	var all []header
	err := each(q, func(r rows) error {
		var h header
		err := h.scan(r)
		all = append(all, h)
		return err
	}, headers+` ORDER BY id`)
	for i := 0; err == nil && i < len(all); i++ {
		err = l.exportLine(q, all[i], json.NewEncoder(w))
	}
	return err
}

func (l *Lines) exportLine(q querier, h header, out *json.Encoder) error {
	b := l.of(ID{Line: h.id})
	if b == nil {
		var err error
		if b, err = read(q, h, l.opt.Clock.Now()); err != nil {
			return err
		}
	}
	b.mu.Lock()
	place := b.place // never changes once it is there
	b.mu.Unlock()
	record := func(kind string, seq uint64, n, at int64) Record {
		return Record{Kind: kind, Sale: h.sale, SKU: h.sku, Entry: ID{h.id, seq}.String(), Seq: seq, N: n, At: time.UnixMilli(at).UTC()}
	}
	p := printer{q: q, out: out}
	p.scan = func(r rows) (Record, error) {
		var seq uint64
		var n, at int64
		var user string
		err := r.Scan(&seq, &n, &at, &user)
		rec := record("entry", seq, n, at)
		rec.User = user
		if int(seq) <= len(place) {
			rec.Drawn = int(place[seq-1]) + 1
		}
		return rec, err
	}
	err := pages(func(last Record) (Record, int, error) {
		return p.print(`SELECT seq, joined_n, joined_at, user FROM line_entries WHERE line=? AND seq>? AND joined_n<=? ORDER BY seq LIMIT ?`, h.id, last.Seq, h.changes, page)
	})
	if err != nil {
		return err
	}
	p.scan = func(r rows) (Record, error) {
		var seq uint64
		var n, at int64
		var s state
		err := r.Scan(&n, &seq, &at, &s)
		rec := record("move", seq, n, at)
		rec.State = s.String()
		return rec, err
	}
	return pages(func(last Record) (Record, int, error) {
		return p.print(`SELECT n, seq, at, state FROM line_moves WHERE line=? AND n<=? AND (n>? OR n=? AND seq>?) ORDER BY n, seq LIMIT ?`, h.id, h.changes, last.N, last.N, last.Seq, page)
	})
}

// pages asks for pages until one is short.
func pages(next func(last Record) (Record, int, error)) error {
	var last Record
	for {
		l, n, err := next(last)
		if err != nil || n < page {
			return err
		}
		last = l
	}
}

// printer writes what a query finds.
type printer struct {
	q    querier
	out  *json.Encoder
	scan func(rows) (Record, error)
}

func (p printer) print(query string, args ...any) (last Record, n int, err error) {
	err = each(p.q, func(r rows) error {
		rec, err := p.scan(r)
		if err != nil {
			return err
		}
		last = rec
		n++
		return p.out.Encode(rec)
	}, query, args...)
	return last, n, err
}
