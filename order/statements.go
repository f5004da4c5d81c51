package order

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"

	"penstock/order/shard"
)

const (
	insertRow = `INSERT INTO %s(id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, changed, version,
delivery, trace) VALUES(?, ?, ?, ?, ?, 'pending_payment', ?, ?, 0, ?, ?, ?, 2, NULL, ?) ON CONFLICT(id) DO NOTHING`
	selectRow  = `SELECT state, version, changed, amount, refunded FROM %s WHERE id = ?`
	updateRow  = `UPDATE %s SET state = ?, version = ?, changed = ?, refunded = ? WHERE id = ? AND version = ?`
	firstSteps = `INSERT INTO order_event(order_id, n, at, from_state, to_state, why, who)
VALUES(?, 1, ?, '', 'accepted', '', ''), (?, 2, ?, 'accepted', 'pending_payment', '', '')`
	nextStep = `INSERT INTO order_event(order_id, n, at, from_state, to_state, why, who) VALUES(?, ?, ?, ?, ?, ?, ?)`
)

// statement is a prepared statement of the driver.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statements are prepared when they are first needed, live as long as the connection, and share one argument list. They
// belong to the goroutine that writes.
type statements struct {
	conn     any
	begin    driver.ConnBeginTx
	prepare  driver.ConnPrepareContext
	database int
	byTable  [shard.Tables]struct{ insert, get, update statement }
	first    statement
	next     statement
	args     [11]driver.NamedValue
	row      [5]driver.Value
}

func newStatements(conn any, database int) (*statements, error) {
	s := &statements{conn: conn, database: database}
	var begins, prepares bool
	s.begin, begins = conn.(driver.ConnBeginTx)
	s.prepare, prepares = conn.(driver.ConnPrepareContext)
	if !begins || !prepares {
		return nil, fmt.Errorf("the SQLite driver's %T lacks BeginTx or PrepareContext", conn)
	}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	return s, nil
}

func (s *statements) close() {
	all := []statement{s.first, s.next}
	for _, t := range s.byTable {
		all = append(all, t.insert, t.get, t.update)
	}
	for _, st := range all {
		if st != nil {
			_ = st.Close() // finalizing repeats the error of the last step, which was reported then
		}
	}
}

// ready returns the statement in the slot, prepared.
func (s *statements) ready(slot *statement, query string, table int) (statement, error) {
	if *slot != nil {
		return *slot, nil
	}
	if table >= 0 {
		query = fmt.Sprintf(query, shard.TableName(s.database, table))
	}
	st, err := s.prepare.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	full, ok := st.(statement)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks ExecContext or QueryContext", st)
	}
	*slot = full
	return full, nil
}

// exec runs the statement with the first n arguments and returns how many rows it changed.
func (s *statements) exec(st statement, n int) (int64, error) {
	res, err := st.ExecContext(context.Background(), s.args[:n])
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// current is what a step needs to know of a row.
type current struct {
	state                              State
	version, changed, amount, refunded int64
}

// get reads a row; false means that there is none.
func (s *statements) get(id int64, table int) (cur current, found bool, err error) {
	st, err := s.ready(&s.byTable[table].get, selectRow, table)
	if err != nil {
		return cur, false, err
	}
	s.args[0].Value = id
	rows, err := st.QueryContext(context.Background(), s.args[:1])
	if err != nil {
		return cur, false, err
	}
	err = rows.Next(s.row[:])
	if err == nil {
		state, _ := s.row[0].(string)
		cur.state = State(state)
		for i, to := range []*int64{&cur.version, &cur.changed, &cur.amount, &cur.refunded} {
			*to, _ = s.row[i+1].(int64)
		}
	}
	if closed := rows.Close(); closed != nil {
		return cur, false, closed
	}
	if err == io.EOF {
		return cur, false, nil
	}
	return cur, err == nil, err
}
