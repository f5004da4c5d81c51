package mysql_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/engine/mysql"
	"penstock/internal/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is one server, whose tests have databases of their own.
type bench struct{ server *engines.Server }

// config returns a new database on the server.
func (b bench) config(t *testing.T) mysql.Config {
	t.Helper()
	return parse(t, b.server.Database(t))
}

func parse(t *testing.T, raw string) mysql.Config {
	t.Helper()
	c, err := mysql.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c mysql.Config, o mysql.Options) *mysql.DB {
	t.Helper()
	db, err := mysql.Open(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// table returns an open database with one table of text keys.
func (b bench) table(t *testing.T, o mysql.Options) *mysql.DB {
	t.Helper()
	db := open(t, b.config(t), o)
	exec(t, db, "CREATE TABLE item (id VARBINARY(64) PRIMARY KEY, n BIGINT NOT NULL DEFAULT 0)")
	return db
}

func exec(t *testing.T, db *mysql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// count returns the number of items.
func count(t *testing.T, db *mysql.DB) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM item").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func put(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO item (id) VALUES (?)", id)
	return err
}

// eventually waits, bounded, until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come about", what)
		case <-tick.C:
		}
	}
}
