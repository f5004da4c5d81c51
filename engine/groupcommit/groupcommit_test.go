package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"penstock/errs"
	"penstock/internal/fault"
)

var schema = []string{`CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER NOT NULL)`}

func setup(t *testing.T, path string, o Options) *DB {
	t.Helper()
	d, err := Open(context.Background(), path, schema, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func put(k string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO t VALUES (?, 1)`, k)
		return err
	}
}

func count(t *testing.T, d *DB) (n int) {
	t.Helper()
	if err := d.R().QueryRow(`SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Closures that gathered share commits, each is answered for itself, and one that fails takes no other with it.
func TestOneFailureCostsNobodyElse(t *testing.T) {
	t.Parallel()
	d := setup(t, filepath.Join(t.TempDir(), "t.db"), Options{})
	var wg sync.WaitGroup
	fail := make([]error, 200)
	for i := range fail {
		wg.Go(func() { fail[i] = d.Do(context.Background(), put(fmt.Sprint(i/2))) })
	}
	wg.Wait()
	good := 0
	for i := 0; i < len(fail); i += 2 {
		if (fail[i] == nil) == (fail[i+1] == nil) {
			t.Errorf("key %d: answers %v and %v, want exactly one success", i/2, fail[i], fail[i+1])
		}
		good++
	}
	if n := count(t, d); n != good {
		t.Errorf("%d rows, want %d", n, good)
	}
}

// Closures see the writes of those before them: a counter incremented by read and write loses nothing.
func TestReadThenWriteIsSerial(t *testing.T) {
	t.Parallel()
	d := setup(t, filepath.Join(t.TempDir(), "t.db"), Options{})
	if err := d.Do(context.Background(), put("c")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := d.Do(context.Background(), func(tx *Tx) error {
				var n int
				if err := tx.Scan(`SELECT n FROM t WHERE k=?`, []any{"c"}, &n); err != nil {
					return err
				}
				_, err := tx.Exec(`UPDATE t SET n=? WHERE k='c'`, n+1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := d.R().QueryRow(`SELECT n FROM t WHERE k='c'`).Scan(&n); err != nil || n != 101 {
		t.Fatalf("counter %d (%v), want 101", n, err)
	}
}

// A failed commit is reported as an unknown outcome, and the next call runs on a file that was opened again.
func TestFailedCommitIsUnknownAndHeals(t *testing.T) {
	t.Parallel()
	var p fault.Points
	d := setup(t, filepath.Join(t.TempDir(), "t.db"), Options{Fault: &p})
	before := d.cur.Load()
	p.Set(PointCommit, func(hit int) error {
		if hit == 1 {
			return errors.New("fsync: input/output error")
		}
		return nil
	})
	if err := d.Do(context.Background(), put("a")); !errs.Is(err, errs.Unknown) {
		t.Fatalf("failed commit answered %v", err)
	}
	if err := d.Do(context.Background(), put("b")); err != nil {
		t.Fatalf("the next call: %v", err)
	}
	if d.cur.Load() == before {
		t.Error("the handle whose commit failed is still in use")
	}
	if n := count(t, d); n != 1 {
		t.Errorf("%d rows, want only the second", n)
	}
}

// After Close nothing is executed, what was committed is in the file, and a second Close is harmless.
func TestCloseKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	d := setup(t, path, Options{})
	if err := d.Do(context.Background(), put("a")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	if err := d.Do(context.Background(), put("b")); !errs.Is(err, errs.ReducedCapacity) {
		t.Errorf("Do after Close answered %v", err)
	}
	if n := count(t, setup(t, path, Options{})); n != 1 {
		t.Errorf("%d rows after reopening, want 1", n)
	}
}
