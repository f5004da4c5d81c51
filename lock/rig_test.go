package lock_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/engine/redis"
	"penstock/engine/sqlite"
	"penstock/internal/engines"
	"penstock/lock"
	"penstock/lock/driver"
	"penstock/lock/redislock"
)

// database is a SQL database with the tables of the lock.
type database struct {
	fence *lock.SQLFence
	tx    func(context.Context, func(*sql.Tx) error) error
	query func(query string, args ...any) *sql.Row
}

func sqliteDatabase(t testing.TB) database {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "lock.db"), []string{lock.SQLiteGuard}, sqlite.Options{})
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	f, err := lock.SQLiteFence(t.Context(), db)
	check(t, err)
	return database{f, db.Tx, db.R.QueryRow}
}

func mysqlDatabase(t testing.TB) database {
	t.Helper()
	cfg, err := mysql.Parse(engines.MariaDB(t).Database(t))
	check(t, err)
	db, err := mysql.Open(t.Context(), cfg, mysql.Options{})
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	check(t, mysql.Migrate(t.Context(), db, "guard", []string{lock.MySQLGuard}, nil))
	f, err := lock.MySQLFence(t.Context(), db)
	check(t, err)
	return database{f, func(ctx context.Context, f func(*sql.Tx) error) error { return mysql.Tx(ctx, db, f) }, db.QueryRow}
}

// databases names each kind of SQL database.
func databases() map[string]func(testing.TB) database {
	return map[string]func(testing.TB) database{"sqlite": sqliteDatabase, "mariadb": mysqlDatabase}
}

func redisStore(t testing.TB, url string) driver.Driver {
	t.Helper()
	cfg, err := redis.Parse(url)
	check(t, err)
	c, err := redis.Open(t.Context(), cfg, redis.Options{})
	check(t, err)
	t.Cleanup(c.Close)
	return redislock.New(c, "")
}

// locker returns a Locker that stands for one process.
func locker(t testing.TB, d driver.Driver, f lock.Fence, o lock.Options) *lock.Locker {
	t.Helper()
	l, err := lock.New(d, f, o)
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = l.Stop(ctx)
	})
	return l
}

func acquire(t testing.TB, l *lock.Locker, name string) *lock.Grant {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	g, err := l.Acquire(ctx, name)
	check(t, err)
	return g
}

// lost waits until the grant has ended.
func lost(t testing.TB, g *lock.Grant) {
	t.Helper()
	select {
	case <-g.Lost():
	case <-time.After(60 * time.Second):
		t.Fatal("the grant did not end within 10 s")
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
