package mysqlorder

import (
	"context"
	"database/sql"
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

// write brings the rows and events to the database: per table one insert and one update, then all events and messages. New rows
// and their events are one message to the server.
func (w *work) write(ctx context.Context, tx *sql.Tx) error {
	s := &script{ctx: ctx, tx: tx}
	if err := w.tables(func(r *row) bool { return !r.exists && r.seed != nil }, func(table string, some []*row) error {
		s.begin(insertInto + table + rowColumns)
		for _, r := range some {
			s.row(r)
		}
		return s.end()
	}); err != nil {
		return err
	}
	if err := w.tables(func(r *row) bool { return r.exists && r.now != r.was }, func(table string, some []*row) error {
		return update(ctx, tx, table, some)
	}); err != nil {
		return err
	}
	if err := w.writeEvents(s); err != nil {
		return err
	}
	if err := s.send(); err != nil {
		return err
	}
	var said []bus.Message
	for _, r := range w.sorted {
		said = append(said, r.messages...)
	}
	return outbox.Publish(outbox.SQL(ctx, tx), said...)
}

// row adds a row of rowColumns.
func (s *script) row(r *row) {
	d := r.seed
	s.open()
	s.number(int64(r.id))
	for _, v := range [...]string{d.User, d.Sale, d.Key, d.Items, string(r.now.State)} {
		s.bytes(v)
	}
	s.number(d.Amount)
	s.bytes(d.Currency)
	for _, v := range [...]int64{r.now.Refunded, d.Created, d.PayBefore, r.now.Changed, r.now.Version} {
		s.number(v)
	}
	s.blob(r.delivery)
	s.bytes(d.Trace)
	s.raw(")")
}

// event adds a row of eventCols.
func (s *script) event(order int64, e *event) {
	s.open()
	s.number(order)
	s.number(e.n)
	s.number(e.at)
	for _, v := range [...]string{string(e.from), string(e.to), e.why, e.who} {
		s.bytes(v)
	}
	s.raw(")")
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

func (w *work) writeEvents(s *script) error {
	for i, r := range w.sorted {
		for e := range r.events {
			if s.rows == 0 {
				s.begin(insertInto + w.db.events + eventCols)
			}
			s.event(int64(r.id), &r.events[e])
		}
		if s.rows == 0 || s.rows < mostEvents && i < len(w.sorted)-1 {
			continue
		}
		if w.past {
			s.raw(" ON DUPLICATE KEY UPDATE n = VALUES(n)") // it stays as it is
		}
		if err := s.end(); err != nil {
			return err
		}
	}
	return nil
}
