package mysqlorder

import (
	"context"
	"database/sql"
	"strings"

	"penstock/engine/mysql"
)

const (
	insertInto = "INSERT INTO "
	rowColumns = "(id, user, sale, `key`, items, state, amount, currency, refunded, created, pay_before, changed, version, delivery, trace) VALUES "
	rowWidth   = 15
	eventCols  = "(order_id, n, at, from_state, to_state, why, who) VALUES "
	eventWidth = 7
	// mostEvents keeps a statement well below what a server takes in one message.
	mostEvents = 1000
)

// write brings the rows and events to the database: per table one insert and one update, then all events.
func (w *work) write(ctx context.Context, tx *sql.Tx) error {
	if err := w.tables(func(r *row) bool { return !r.exists && r.seed != nil }, func(table string, some []*row) error {
		_, err := tx.ExecContext(ctx, insertInto+table+rowColumns+mysql.Placeholders(len(some), rowWidth), rowArgs(some)...)
		return err
	}); err != nil {
		return err
	}
	if err := w.tables(func(r *row) bool { return r.exists && r.now != r.was }, func(table string, some []*row) error {
		return update(ctx, tx, table, some)
	}); err != nil {
		return err
	}
	return w.writeEvents(ctx, tx)
}

func rowArgs(rows []*row) []any {
	args := make([]any, 0, rowWidth*len(rows))
	for _, r := range rows {
		s := r.seed
		args = append(args, int64(r.id), []byte(s.User), []byte(s.Sale), []byte(s.Key), []byte(s.Items), string(r.now.State), s.Amount,
			[]byte(s.Currency), r.now.Refunded, s.Created, s.PayBefore, r.now.Changed, r.now.Version, r.delivery, []byte(s.Trace))
	}
	return args
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
	var args []any
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, insertInto+w.db.events+eventCols+mysql.Placeholders(len(args)/eventWidth, eventWidth), args...)
		args = args[:0]
		return err
	}
	for _, r := range w.sorted {
		for _, e := range r.events {
			args = append(args, int64(r.id), e.n, e.at, string(e.from), string(e.to), []byte(e.why), []byte(e.who))
		}
		if len(args) >= mostEvents*eventWidth {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
