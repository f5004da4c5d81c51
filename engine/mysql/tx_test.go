package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// A transaction happens wholly, or not at all, or says that it does not know; whatever fails, the pool goes on with clean
// connections.
func TestTx(t *testing.T) {
	t.Parallel()
	b := bench{engines.MariaDB(t)}
	t.Run("commits or rolls back", func(t *testing.T) { wholeOrNothing(t, b) })
	t.Run("deadlock and lock timeout may be run again", func(t *testing.T) { mayRunAgain(t, b) })
	t.Run("a process that is cut off does not keep its locks", func(t *testing.T) { cutOff(t, b) })
	t.Run("a killed session changes nothing", func(t *testing.T) { sessionKilled(t, b) })
	t.Run("a lost answer to COMMIT is unknown", func(t *testing.T) { answerLost(t, b) })
	t.Run("a refused COMMIT is not committed later", func(t *testing.T) { commitRefused(t, b) })
	t.Run("a pause at COMMIT is unknown", func(t *testing.T) { pausedAtCommit(t, b) })
	t.Run("a killed server changes nothing", func(t *testing.T) { serverKilled(t, b) })
}

func wholeOrNothing(t *testing.T, b bench) {
	db := b.table(t, mysql.Options{Pool: 1})
	ctx := t.Context()
	if err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return put(ctx, tx, "a") }); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return errors.Join(put(ctx, tx, "b"), stop) })
	if !errors.Is(err, stop) || errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("the error of the caller came as %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = mysql.Tx(ctx, db, func(tx *sql.Tx) error {
			_ = put(ctx, tx, "c")
			panic("in the middle")
		})
	}()
	ended, cancel := context.WithCancel(ctx)
	err = mysql.Tx(ended, db, func(tx *sql.Tx) error {
		defer cancel()
		return put(ended, tx, "d")
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("a context that ended before the commit: %v", err)
	}
	if n := count(t, db); n != 1 {
		t.Fatalf("%d rows, wanted 1", n)
	}
}

func mayRunAgain(t *testing.T, b bench) {
	db := b.table(t, mysql.Options{LockWait: time.Second})
	ctx := t.Context()
	exec(t, db, "INSERT INTO item (id) VALUES ('x'), ('y')")
	touch := func(tx *sql.Tx, id string) error {
		_, err := tx.ExecContext(ctx, "UPDATE item SET n = n + 1 WHERE id = ?", id)
		return err
	}
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		if err := touch(tx, "x"); err != nil {
			return err
		}
		return mysql.Tx(ctx, db, func(other *sql.Tx) error { return touch(other, "x") })
	})
	if !mysql.Retry(err) || mysql.Lost(err) || errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("a lock timeout: %v", err)
	}
	first, second := make(chan struct{}), make(chan struct{})
	other := make(chan error, 1)
	go func() {
		other <- mysql.Tx(ctx, db, func(tx *sql.Tx) error {
			err := touch(tx, "y")
			close(first)
			<-second
			return errors.Join(err, touch(tx, "x"))
		})
	}()
	mine := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		err := touch(tx, "x")
		<-first
		close(second)
		return errors.Join(err, touch(tx, "y"))
	})
	theirs := <-other
	if mysql.Retry(mine) == mysql.Retry(theirs) || (mine == nil) == (theirs == nil) {
		t.Fatalf("of two in a deadlock one must go on: %v, %v", mine, theirs)
	}
}

func cutOff(t *testing.T, b bench) {
	direct := b.table(t, mysql.Options{LockWait: time.Second})
	exec(t, direct, "INSERT INTO item (id) VALUES ('x')")
	proxy := faultproxy.New(t, b.server.Addr())
	c := parse(t, "mysql://root@"+proxy.Addr()+"/"+direct.Config().Database())
	db := open(t, c, mysql.Options{Abandon: time.Second, LockWait: time.Second, Reply: 1500 * time.Millisecond})
	ctx := t.Context()
	touch := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE item SET n = n + 1")
		return err
	}
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		if err := touch(tx); err != nil {
			return err
		}
		proxy.BlackHole()
		eventually(t, "the end of the session that is cut off", func() bool {
			err := mysql.Tx(ctx, direct, touch)
			if err != nil && !mysql.Retry(err) {
				t.Fatal(err)
			}
			return err == nil
		})
		return touch(tx)
	})
	if !mysql.Lost(err) || errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("cut off before COMMIT: %v", err)
	}
	var n int
	if err := direct.QueryRowContext(ctx, "SELECT n FROM item").Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d changes, wanted only the other's: %v", n, err)
	}
}

func sessionKilled(t *testing.T, b bench) {
	db := b.table(t, mysql.Options{Pool: 2})
	ctx := t.Context()
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			return err
		}
		if err := put(ctx, tx, "a"); err != nil {
			return err
		}
		exec(t, db, "KILL CONNECTION ?", id)
		return put(ctx, tx, "b")
	})
	if !mysql.Lost(err) || errors.Is(err, mysql.ErrUnknown) || mysql.Retry(err) {
		t.Fatalf("killed in the middle: %v", err)
	}
	if n := count(t, db); n != 0 {
		t.Fatalf("%d rows of a killed session", n)
	}
	err = mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			return err
		}
		exec(t, db, "KILL CONNECTION ?", id)
		return nil
	})
	if !errors.Is(err, mysql.ErrUnknown) || mysql.Unavailable(err) {
		t.Fatalf("killed before COMMIT, which cannot be told from after: %v", err)
	}
}

func answerLost(t *testing.T, b bench) {
	direct := b.table(t, mysql.Options{})
	proxy := faultproxy.New(t, b.server.Addr())
	c := parse(t, "mysql://root@"+proxy.Addr()+"/"+direct.Config().Database())
	db := open(t, c, mysql.Options{LockWait: time.Second, Reply: 1500 * time.Millisecond})
	ctx := t.Context()
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		err := put(ctx, tx, "applied")
		proxy.DropReplies()
		return err
	})
	if !errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("applied, but nobody was told: %v", err)
	}
	proxy.Pass()
	if n := count(t, direct); n != 1 {
		t.Fatalf("%d rows, wanted the one that was applied", n)
	}
	err = mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		proxy.DropReplies()
		return put(ctx, tx, "not told to commit")
	})
	if errors.Is(err, mysql.ErrUnknown) || !mysql.Lost(err) {
		t.Fatalf("an answer lost before COMMIT: %v", err)
	}
	proxy.Reset()
	eventually(t, "the end of the lost session", func() bool { return count(t, direct) == 1 })
}

func commitRefused(t *testing.T, b bench) {
	root := b.table(t, mysql.Options{})
	exec(t, root, "CREATE USER 'plain'@'%'")
	exec(t, root, "GRANT ALL ON "+root.Config().Database()+".* TO 'plain'@'%'")
	db := open(t, parse(t, "mysql://plain@"+b.server.Addr()+"/"+root.Config().Database()), mysql.Options{Pool: 1})
	ctx := t.Context()
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		err := put(ctx, tx, "refused")
		exec(t, root, "SET GLOBAL read_only = 1")
		return err
	})
	exec(t, root, "SET GLOBAL read_only = 0")
	if !mysql.Unavailable(err) || errors.Is(err, mysql.ErrUnknown) {
		t.Fatalf("COMMIT on a server that only reads: %v", err)
	}
	if err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return put(ctx, tx, "next") }); err != nil {
		t.Fatal(err)
	}
	if n := count(t, root); n != 1 {
		t.Fatalf("%d rows, wanted only the next one", n)
	}
}

func pausedAtCommit(t *testing.T, b bench) {
	db := b.table(t, mysql.Options{LockWait: time.Second, Reply: 1200 * time.Millisecond, Connect: time.Second})
	ctx := t.Context()
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		err := put(ctx, tx, "a")
		b.server.Pause(t)
		return err
	})
	if !errors.Is(err, mysql.ErrUnknown) {
		t.Errorf("paused at COMMIT: %v", err)
	}
	if err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return put(ctx, tx, "b") }); !mysql.Unavailable(err) {
		t.Errorf("while it is paused: %v", err)
	}
	b.server.Resume(t)
	eventually(t, "the commit that was sent", func() bool { return count(t, db) == 1 })
}

func serverKilled(t *testing.T, b bench) {
	db := b.table(t, mysql.Options{Pool: 5})
	ctx := t.Context()
	err := mysql.Tx(ctx, db, func(tx *sql.Tx) error {
		err := put(ctx, tx, "a")
		b.server.Kill(t)
		return errors.Join(err, put(ctx, tx, "b"))
	})
	if !mysql.Lost(err) || errors.Is(err, mysql.ErrUnknown) {
		t.Errorf("killed in the middle: %v", err)
	}
	if err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return put(ctx, tx, "c") }); !mysql.Unavailable(err) {
		t.Errorf("while it is down: %v", err)
	}
	b.server.Start(t)
	if err := mysql.Tx(ctx, db, func(tx *sql.Tx) error { return put(ctx, tx, "d") }); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, wanted the one of after the restart", n)
	}
}
