package mysqlorder

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	bus "penstock/bus/driver"
	"penstock/bus/outbox"
)

const (
	insertInto = "INSERT INTO "
	rowColumns = "(id, user, sale, `key`, items, state, amount, currency, refunded, created, pay_before, changed, version, delivery, trace) VALUES "
	eventCols  = "(order_id, n, at, from_state, to_state, why, who) VALUES "
	// mostEvents keeps a statement well below what a server takes in one message.
	mostEvents = 1000
)

// write brings the rows and events to the database: per table one insert and one update, then all events and messages.
func (w *work) write(ctx context.Context, tx *sql.Tx) error {
	if err := w.tables(func(r *row) bool { return !r.exists && r.seed != nil }, func(table string, some []*row) error {
		q := newQuery(insertInto + table + rowColumns)
		for _, r := range some {
			q.row(r)
		}
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		return err
	}); err != nil {
		return err
	}
	if err := w.tables(func(r *row) bool { return r.exists && r.now != r.was }, func(table string, some []*row) error {
		return update(ctx, tx, table, some)
	}); err != nil {
		return err
	}
	if err := w.writeEvents(ctx, tx); err != nil {
		return err
	}
	var said []bus.Message
	for _, r := range w.sorted {
		said = append(said, r.messages...)
	}
	return outbox.Publish(outbox.SQL(ctx, tx), said...)
}

// query is an insert being written: numbers stand in its text, what people chose is an argument. That halves what the client
// spends on a row against an argument for every column.
type query struct {
	strings.Builder
	args  []any
	buf   [20]byte
	first bool // the next value is the first of its row
	rows  int
}

func newQuery(head string) *query {
	q := &query{}
	q.WriteString(head)
	return q
}

func (q *query) begin() {
	if q.rows > 0 {
		q.WriteByte(',')
	}
	q.WriteByte('(')
	q.first = true
	q.rows++
}

func (q *query) comma() {
	if !q.first {
		q.WriteByte(',')
	}
	q.first = false
}

func (q *query) number(n int64) {
	q.comma()
	q.Write(strconv.AppendInt(q.buf[:0], n, 10))
}

func (q *query) bytes(s string) {
	q.comma()
	if s == "" {
		q.WriteString("''")
		return
	}
	q.WriteByte('?')
	q.args = append(q.args, []byte(s))
}

func (q *query) blob(b []byte) {
	q.comma()
	if b == nil {
		q.WriteString("NULL")
		return
	}
	q.WriteByte('?')
	q.args = append(q.args, b)
}

// row adds a row of rowColumns.
func (q *query) row(r *row) {
	s := r.seed
	q.begin()
	q.number(int64(r.id))
	for _, v := range [...]string{s.User, s.Sale, s.Key, s.Items, string(r.now.State)} {
		q.bytes(v)
	}
	q.number(s.Amount)
	q.bytes(s.Currency)
	for _, v := range [...]int64{r.now.Refunded, s.Created, s.PayBefore, r.now.Changed, r.now.Version} {
		q.number(v)
	}
	q.blob(r.delivery)
	q.bytes(s.Trace)
	q.WriteByte(')')
}

// event adds a row of eventCols.
func (q *query) event(order int64, e *event) {
	q.begin()
	q.number(order)
	q.number(e.n)
	q.number(e.at)
	for _, v := range [...]string{string(e.from), string(e.to), e.why, e.who} {
		q.bytes(v)
	}
	q.WriteByte(')')
}

// update is one compare-and-set for all rows of a table: each row must still have the version that it was read with.
func update(ctx context.Context, tx *sql.Tx, table string, rows []*row) error {
	var b strings.Builder
	var args []any
	b.WriteString("UPDATE " + table + " SET")
	for i, column := range []struct {
		name  string
		value func(*row) any
	}{
		{"state", func(r *row) any { return string(r.now.State) }}, {"changed", func(r *row) any { return r.now.Changed }},
		{"refunded", func(r *row) any { return r.now.Refunded }},
		{"version", func(r *row) any { return r.now.Version }},
	} {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" " + column.name + " = CASE id")
		for _, r := range rows {
			b.WriteString(" WHEN ? THEN ?")
			args = append(args, int64(r.id), column.value(r))
		}
		b.WriteString(" END")
	}
	for i, r := range rows {
		b.WriteString([2]string{" WHERE", " OR"}[min(i, 1)] + " (id = ? AND version = ?)")
		args = append(args, int64(r.id), r.was.Version)
	}
	res, err := tx.ExecContext(ctx, b.String(), args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != int64(len(rows)) {
		err = errMoved
	}
	return err
}

func (w *work) writeEvents(ctx context.Context, tx *sql.Tx) error {
	head := insertInto + w.db.events + eventCols
	q := newQuery(head)
	flush := func() error {
		if q.rows == 0 {
			return nil
		}
		if w.past {
			q.WriteString(" ON DUPLICATE KEY UPDATE n = VALUES(n)") // it stays as it is
		}
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		q = newQuery(head)
		return err
	}
	for _, r := range w.sorted {
		for i := range r.events {
			q.event(int64(r.id), &r.events[i])
		}
		if q.rows >= mostEvents {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
