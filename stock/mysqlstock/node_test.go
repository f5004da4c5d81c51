package mysqlstock_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/stock"
	"penstock/stock/mysqlstock"
)

// slow never renews a lease by itself while a test looks.
func slow() mysqlstock.Options {
	return mysqlstock.Options{Beat: time.Hour, Lease: 3 * time.Hour}
}

// Processes have different numbers in ids; a closed one's is free for the next.
func numbersDiffer(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	seen := map[int]bool{}
	var last *mysqlstock.DB
	for range 5 {
		last = e.open(t, url, slow())
		n, _ := last.Node()
		if seen[n] {
			t.Errorf("number %d is used twice", n)
		}
		seen[n] = true
	}
	if _, others, err := last.Others(t.Context()); err != nil || others != 4 {
		t.Errorf("%d other processes, %v, want 4", others, err)
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	first := e.open(t, url, slow())
	if _, others, err := first.Others(t.Context()); err != nil || others != 4 {
		t.Errorf("%d other processes after a close, %v, want 4", others, err)
	}
}

// A process that was paused past its lease makes no id under a number that another has taken since: it takes a new one, and
// its ids go on.
func lostNumberIsReplaced(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	paused := e.process(t, url, slow())
	paused.sell(t, 100, 0)
	before := paused.buy("u", "1").Attempt.ID
	n, _ := paused.db.Node()
	admin := e.admin(t, url)
	must(t, admin, "UPDATE node SET expires = 1 WHERE n = ?", n)
	must(t, admin, "UPDATE node SET expires = expires + 9000000000000000 WHERE n <> ?", n)
	thief := e.process(t, url, slow())
	if got, _ := thief.db.Node(); got != n {
		t.Fatalf("the other process has taken %d, want %d", got, n)
	}
	stolen := thief.buy("v", "1").Attempt.ID
	must(t, admin, "UPDATE node SET expires = 0 WHERE n = 31")
	after := paused.buy("u", "2")
	if after.State != stock.Won || after.Attempt.ID.Node() != 31 || before.Node() != n || stolen.Node() != n {
		t.Errorf("nodes are %d, %d (the other's) and %d, want %d, %d and 31", before.Node(), stolen.Node(), after.Attempt.ID.Node(), n, n)
	}
	if after.Attempt.ID <= before || stolen <= before {
		t.Errorf("ids %d, %d (the other's), %d do not grow", before, stolen, after.Attempt.ID)
	}
	audit(t, paused)
}

// When all numbers are in use, a further process is refused by name, and one that has lost its own can take nothing now.
func numbersRunOut(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	p := e.process(t, url, slow())
	p.sell(t, 1, 1)
	must(t, e.admin(t, url), "UPDATE node SET expires = 9000000000000000, epoch = epoch + 1")
	if a := p.buy("u", "k"); a.State != stock.Lost || a.Reason != errs.ReducedCapacity {
		t.Errorf("without a number a call is told %v %s", a.State, a.Reason)
	}
	_, err := mysqlstock.Open(t.Context(), config(t, url), slow())
	if err == nil || !strings.Contains(err.Error(), "all 32 numbers") {
		t.Errorf("opening without a free number: %v", err)
	}
}

// What a process has in flight is known to the others after a beat.
func othersAreCounted(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	var busy atomic.Int64
	busy.Store(7)
	e.open(t, url, mysqlstock.Options{Beat: 5 * time.Millisecond, Busy: busy.Load})
	e.open(t, url, mysqlstock.Options{Beat: 5 * time.Millisecond, Busy: func() int64 { return 3 }})
	looker := e.open(t, url, slow())
	sees := func(want int64) func() bool {
		return func() bool {
			n, others, err := looker.Others(t.Context())
			return err == nil && n == want && others == 2
		}
	}
	until(t, "ten calls in flight", sees(10))
	busy.Store(0)
	until(t, "three calls in flight", sees(3))
}

// A process whose decision waits for a lock cannot publish that it is busy, and is not taken to be idle.
func silentOnesAreBusy(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	often := mysqlstock.Options{Beat: 50 * time.Millisecond}
	n, _ := e.open(t, url, often).Node()
	looker := e.open(t, url, often)
	sees := func(want int64) func() bool {
		return func() bool {
			n, _, err := looker.Others(t.Context())
			return err == nil && n == want
		}
	}
	until(t, "nothing in flight", sees(0))
	deciding, err := e.admin(t, url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer deciding.Rollback()
	if _, err = deciding.ExecContext(t.Context(), "SELECT epoch FROM node WHERE n = ? FOR UPDATE", n); err != nil {
		t.Fatal(err)
	}
	until(t, "the silent one is busy", sees(1))
	if err = deciding.Rollback(); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing in flight again", sees(0))
}

// A lease has one holder at a time; each holder's epoch is higher than those before; one that ran out or was given back can be
// taken.
func leaseHasOneHolder(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	ctx := t.Context()
	a, b := e.open(t, url, slow()).Lease("timers"), e.open(t, url, slow()).Lease("timers")
	take := func(l *mysqlstock.Lease, ttl time.Duration) (int64, bool) {
		t.Helper()
		epoch, ok, err := l.Take(ctx, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return epoch, ok
	}
	first, ok := take(a, time.Hour)
	again, still := take(a, time.Hour)
	if !ok || !still || again != first {
		t.Errorf("taken %v at %d, again %v at %d", ok, first, still, again)
	}
	if _, ok := take(b, time.Hour); ok {
		t.Error("two hold the lease")
	}
	if ok, err := b.Renew(ctx, time.Hour); ok || err != nil {
		t.Errorf("one who does not hold it has renewed it: %v, %v", ok, err)
	}
	if err := b.Release(ctx); err != nil {
		t.Error(err)
	}
	if ok, err := a.Renew(ctx, time.Millisecond); !ok || err != nil {
		t.Errorf("the holder has not renewed it: %v, %v", ok, err)
	}
	var second int64
	until(t, "it runs out", func() bool {
		epoch, ok := take(b, time.Hour)
		second = epoch
		return ok
	})
	if second <= first {
		t.Errorf("epoch %d comes after %d", second, first)
	}
	if ok, err := a.Renew(ctx, time.Hour); ok || err != nil {
		t.Errorf("the former holder has renewed it: %v, %v", ok, err)
	}
	if err := b.Release(ctx); err != nil {
		t.Error(err)
	}
	if third, ok := take(a, time.Hour); !ok || third <= second {
		t.Errorf("after a release: %v at %d", ok, third)
	}
}

// What is wrong with a database is said by name at Open.
func wrongDatabasesAreRefused(t *testing.T, e *env) {
	t.Parallel()
	for _, c := range []struct {
		name, spoil, want string
		o                 mysqlstock.Options
	}{
		{"newer", "INSERT INTO penstock_schema (name, step, checksum, at) VALUES ('stock', 4, 'x', 0)", "newer release", slow()},
		{"changed", "UPDATE penstock_schema SET checksum = 'x' WHERE name = 'stock'", "was changed after it was applied", slow()},
		{"another engine", "ALTER TABLE audit ENGINE=MyISAM", "table audit has the engine MyISAM", slow()},
		{"another charset", "ALTER TABLE sale CONVERT TO CHARACTER SET latin1", "table sale has the collation latin1", slow()},
		{"text keys", "ALTER TABLE attempt MODIFY akey VARCHAR(255) NOT NULL", "column attempt.akey is varchar", slow()},
		{"no replica", "SELECT 1", "semi-synchronous replication is required", mysqlstock.Options{RequireSemiSync: true}},
		{"a short lease", "SELECT 1", "at least three beats", mysqlstock.Options{Lease: time.Second, Beat: time.Second}},
	} {
		url := e.server.Database(t)
		if err := e.open(t, url, slow()).Close(); err != nil {
			t.Fatal(err)
		}
		must(t, e.admin(t, url), c.spoil)
		d, err := mysqlstock.Open(t.Context(), config(t, url), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that says %q", c.name, err, c.want)
		}
		if err == nil {
			_ = d.Close()
		}
	}
}

func must(t testing.TB, db *mysql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
