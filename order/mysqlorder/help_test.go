package mysqlorder_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"database/sql"

	_ "github.com/go-sql-driver/mysql"

	"penstock/internal/engines"
)

// replicaLog keeps what is logged.
type replicaLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *replicaLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *replicaLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *replicaLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *replicaLog) has(what string) bool { return strings.Contains(l.String(), what) }

func (l *replicaLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func root(t *testing.T, s *engines.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+s.Addr()+")/")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// statement runs a statement as root.
func statement(t *testing.T, s *engines.Server, q string) {
	t.Helper()
	db := root(t, s)
	defer db.Close()
	if _, err := db.Exec(q); err != nil {
		t.Fatal(err)
	}
}

// status is a counter of the server without what asking for it adds.
func status(t *testing.T, s *engines.Server, name string) (value string) {
	t.Helper()
	db := root(t, s)
	defer db.Close()
	if err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&name, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
