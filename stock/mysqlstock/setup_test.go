package mysqlstock_test

import (
	"context"
	"database/sql"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// TestMain lets the model of the contract run an eighth as often as by default: each run makes a database of its own.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Tests share one server and have a database each. It leaves syncing to the system, because hundreds of tables are made: what
// a killed server wrote is there all the same. What a power cut leaves is not looked at here.
func TestOnMariaDB(t *testing.T) {
	server := engines.MariaDB(t, "--max-connections=500", "--sync-binlog=0", "--innodb-flush-method=nosync")
	e := &env{server: server, urls: map[driver.Driver]string{}}
	defer func() {
		if log, err := os.ReadFile(filepath.Join(e.server.Dir(), "output.log")); t.Failed() && err == nil {
			t.Logf("the server's log ends with:\n%s", log[max(0, len(log)-3000):])
		}
	}()
	for _, c := range []struct {
		name string
		test func(*testing.T, *env)
	}{
		{"the contract of the port", conformance},
		{"several processes", several},
		{"the server is killed", serverIsKilled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, e) })
	}
}

// several runs side by side what is about several processes and their connections.
func several(t *testing.T, e *env) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *env)
	}{
		{"a limit holds across processes", limitHoldsAcrossProcesses},
		{"a key has one answer", keyHasOneAnswer},
		{"a pass wins once", onePassWinsOnce},
		{"no hold after a close", noHoldAfterClose},
		{"late decisions are asserted", lateDecisionsAreAsserted},
		{"refusals are locked", refusalsAreLocked},
		{"decisions overlap", decisionsOverlap},
		{"a version has one successor", versionHasOneSuccessor},
		{"a lost reply is found", lostReplyIsFound},
		{"an open transaction is waited for", openTransactionIsWaitedFor},
		{"an open act is waited for", openActIsWaitedFor},
		{"a stampede with killed sessions", stampede},
		{"numbers differ", numbersDiffer},
		{"a lost number is replaced", lostNumberIsReplaced},
		{"numbers run out", numbersRunOut},
		{"others are counted", othersAreCounted},
		{"silent ones are busy", silentOnesAreBusy},
		{"look-ups leave room", lookUpsLeaveRoom},
		{"an allowance is counted anew", recounted},
		{"what is due is due by the database's clock", dueByTheDatabase},
		{"a lease has one holder", leaseHasOneHolder},
		{"wrong databases are refused", wrongDatabasesAreRefused},
		{"an import is the same", importIsTheSame},
		{"racing releases hand over once", racingReleases},
		{"carts at two processes", cartsAtTwoProcesses},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, e) })
	}
}

// env is a server and the databases opened on it.
type env struct {
	server *engines.Server
	mu     sync.Mutex
	urls   map[driver.Driver]string
}

func config(t testing.TB, url string) mysql.Config {
	t.Helper()
	cfg, err := mysql.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// open opens a database of this server as one more process would.
func (e *env) open(t testing.TB, url string, o mysqlstock.Options) *mysqlstock.DB {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Engine.Pool == 0 {
		o.Engine.Pool = 6
	}
	d, err := mysqlstock.Open(context.Background(), config(t, url), o)
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close %s: %v", url, err)
		}
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.urls[d] = url
	return d
}

func (e *env) urlOf(d driver.Driver) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.urls[d]
}

// admin is a pool of its own, for what operators and faults do.
func (e *env) admin(t testing.TB, url string) *mysql.DB {
	t.Helper()
	db, err := mysql.Open(t.Context(), config(t, url), mysql.Options{Pool: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// killSessions ends the sessions of a database but the asking one.
func killSessions(t testing.TB, db *mysql.DB) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
	if err != nil {
		t.Errorf("list sessions: %v", err)
		return
	}
	var ids []int64
	for rows.Next() {
		var id sql.NullInt64
		if err := rows.Scan(&id); err != nil {
			t.Error(err)
		}
		ids = append(ids, id.Int64)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		_, _ = db.ExecContext(context.Background(), "KILL CONNECTION ?", id) // it may have ended by itself
	}
}

// until polls a condition that must come true.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	limit := time.Now().Add(60 * time.Second)
	for !true() {
		if time.Now().After(limit) {
			t.Fatalf("after a minute still not: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}
