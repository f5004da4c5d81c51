package saga

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/errs"
)

// Store keeps transactions: a file that one process owns, or a MySQL database that several share.
type Store = sqldb.Store

// schema of transactions. Times are Unix milliseconds. doc is the transaction as JSON; version guards every write of it.
// next_at is when anybody may take the transaction up: the end of a pause, or of the lease of the process that works on it;
// NULL when there is nothing to do.
func schema() sqldb.Schema {
	return sqldb.Schema{Name: "transactions", SQLite: []string{`
CREATE TABLE transactions (
	seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
	version INTEGER NOT NULL, began INTEGER NOT NULL, next_at INTEGER, doc TEXT NOT NULL
) STRICT;
CREATE INDEX transactions_due ON transactions (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX transactions_state ON transactions (state, seq);
CREATE TABLE transaction_steps (
	tx TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, branch TEXT NOT NULL, who TEXT NOT NULL,
	detail TEXT NOT NULL, PRIMARY KEY (tx, n)
) STRICT, WITHOUT ROWID;`}, MySQL: []string{`
CREATE TABLE IF NOT EXISTS transactions (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, id VARBINARY(64) NOT NULL, body VARBINARY(64) NOT NULL, kind VARBINARY(16) NOT NULL,
	state VARBINARY(16) NOT NULL, version BIGINT NOT NULL, began BIGINT NOT NULL, next_at BIGINT, doc MEDIUMBLOB NOT NULL,
	UNIQUE KEY transactions_id (id), KEY transactions_due (next_at), KEY transactions_state (state, seq)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS transaction_steps (
	tx VARBINARY(64) NOT NULL, n BIGINT NOT NULL, at BIGINT NOT NULL, what VARBINARY(64) NOT NULL, branch VARBINARY(64) NOT NULL,
	who VARBINARY(512) NOT NULL, detail BLOB NOT NULL, PRIMARY KEY (tx, n)
) ENGINE=InnoDB;`}}
}

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}

var errOvertaken = errors.New("another process works on the transaction")

// insert stores a new transaction. false means that the id is taken.
func insert(ctx context.Context, s Store, t *Transaction, body []byte) (made bool, err error) {
	doc, err := json.Marshal(t)
	if err != nil {
		return false, fmt.Errorf("transaction %s: %w", t.ID, err)
	}
	err = s.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		made, err = tx.Insert(`INSERT INTO transactions (id, body, kind, state, version, began, next_at, doc) VALUES (?,?,?,?,?,?,?,?)`,
			t.ID, body, t.Kind, t.State, t.Version, t.Began.UnixMilli(), t.next.UnixMilli(), string(doc))
		if err != nil || !made {
			return err
		}
		return putSteps(tx, t)
	})
	if err == nil && made {
		t.fresh = nil
	}
	return made, err
}

// save writes the transaction if its version is still the stored one. errOvertaken means that nothing was written.
func save(ctx context.Context, s Store, t *Transaction) error {
	was := t.Version
	t.Version++
	doc, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("transaction %s: %w", t.ID, err)
	}
	var next any
	if t.State.moves() {
		next = t.next.UnixMilli()
	}
	err = s.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE transactions SET state=?, version=?, next_at=?, doc=? WHERE id=? AND version=?`,
			t.State, t.Version, next, string(doc), t.ID, was)
		if err == nil && n == 0 {
			err = errOvertaken
		}
		if err != nil {
			return err
		}
		return putSteps(tx, t)
	})
	if err == nil {
		t.fresh = nil
	}
	return err
}

func putSteps(tx sqldb.Tx, t *Transaction) error {
	for _, s := range t.fresh {
		_, err := tx.Exec(`INSERT INTO transaction_steps (tx, n, at, what, branch, who, detail) VALUES (?,?,?,?,?,?,?)`,
			t.ID, s.N, s.At.UnixMilli(), s.What, s.Branch, s.Who, s.Detail)
		if err != nil {
			return err
		}
	}
	return nil
}

// claim takes the transaction up until the lease ends, if its version is still v.
func claim(ctx context.Context, s Store, id string, v int64, until time.Time) error {
	return s.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE transactions SET version=version+1, next_at=? WHERE id=? AND version=? AND next_at IS NOT NULL`, until.UnixMilli(), id, v)
		if err == nil && n == 0 {
			err = errOvertaken
		}
		return err
	})
}

const columns = `seq, version, next_at, body, doc`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Transaction, []byte, error) {
	var t Transaction
	var seq, version int64
	var next sql.NullInt64
	var body, doc []byte
	if err := row.Scan(&seq, &version, &next, &body, &doc); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(doc, &t); err != nil {
		return nil, nil, fmt.Errorf("transaction %d cannot be read: %w", seq, err)
	}
	t.Seq, t.Version = seq, version
	if next.Valid {
		t.next = time.UnixMilli(next.Int64).UTC()
	}
	return &t, body, nil
}

// load returns the transaction with the hash of its spec; errs.NotFound if there is none.
func load(ctx context.Context, s Store, id string) (*Transaction, []byte, error) {
	t, body, err := scan(reader{ctx, s, `SELECT ` + columns + ` FROM transactions WHERE id=?`, []any{id}})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, errs.New(errs.NotFound, "there is no transaction %s", id)
	}
	return t, body, err
}

// reader defers a query of one row until its destinations are known.
type reader struct {
	ctx   context.Context
	s     Store
	query string
	args  []any
}

func (r reader) Scan(dest ...any) error { return r.s.Scan(r.ctx, r.query, r.args, dest...) }

// query reads all transactions of a query over columns.
func query(ctx context.Context, s Store, where string, args ...any) (all []*Transaction, _ error) {
	rows, err := s.Query(ctx, `SELECT `+columns+` FROM transactions WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		t, _, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}
