package sqliteorder

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"io"

	"penstock/order/driver"
	"penstock/order/shard"
)

const (
	insertRow = `INSERT INTO %s(id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, changed, version,
delivery, trace) VALUES(?, ?, ?, ?, ?, 'pending_payment', ?, ?, 0, ?, ?, ?, 2, NULL, ?) ON CONFLICT(id) DO NOTHING`
	putRow = `INSERT INTO %s(id, user, sale, key, items, amount, currency, created, pay_before, changed, trace, state, refunded, version,
delivery) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING`
	selectRow  = `SELECT state, version, changed, amount, refunded, user, sale, currency FROM %s WHERE id = ?`
	updateRow  = `UPDATE %s SET state = ?, version = ?, changed = ?, refunded = ? WHERE id = ? AND version = ?`
	firstSteps = `INSERT INTO order_event(order_id, n, at, from_state, to_state, why, who)
VALUES(?, 1, ?, '', 'accepted', '', ''), (?, 2, ?, 'accepted', 'pending_payment', '', '')`
	nextStep = `INSERT INTO order_event(order_id, n, at, from_state, to_state, why, who) VALUES(?, ?, ?, ?, ?, ?, ?)`
	putStep  = nextStep + ` ON CONFLICT(order_id, n) DO NOTHING`
)

// statement is a prepared statement of the driver.
type statement interface {
	sqldriver.Stmt
	sqldriver.StmtExecContext
	sqldriver.StmtQueryContext
}

// statements are prepared when they are first needed, live as long as the connection, and share one argument list. They
// belong to the goroutine that writes.
type statements struct {
	conn     any
	begin    sqldriver.ConnBeginTx
	prepare  sqldriver.ConnPrepareContext
	database int
	byTable  [shard.Tables]struct{ insert, get, update, put statement }
	first    statement
	next     statement
	past     statement
	args     [15]sqldriver.NamedValue
	row      [8]sqldriver.Value
	publish  map[string]statement // by its text
}

func newStatements(conn any, database int) (*statements, error) {
	s := &statements{conn: conn, database: database, publish: map[string]statement{}}
	var begins, prepares bool
	s.begin, begins = conn.(sqldriver.ConnBeginTx)
	s.prepare, prepares = conn.(sqldriver.ConnPrepareContext)
	if !begins || !prepares {
		return nil, fmt.Errorf("the SQLite driver's %T lacks BeginTx or PrepareContext", conn)
	}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	return s, nil
}

func (s *statements) close() {
	all := []statement{s.first, s.next, s.past}
	for _, t := range s.byTable {
		all = append(all, t.insert, t.get, t.update, t.put)
	}
	for _, st := range s.publish {
		all = append(all, st)
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

// get reads a row; false means that there is none.
func (s *statements) get(id int64, table int) (cur driver.Current, found bool, err error) {
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
		cur.State = driver.State(state)
		for i, to := range []*int64{&cur.Version, &cur.Changed, &cur.Amount, &cur.Refunded} {
			*to, _ = s.row[i+1].(int64)
		}
		for i, to := range []*string{&cur.User, &cur.Sale, &cur.Currency} {
			*to, _ = s.row[i+5].(string)
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
