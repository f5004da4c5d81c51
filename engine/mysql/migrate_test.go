package mysql_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"penstock/engine/mysql"
	"penstock/internal/engines"
)

// steps are two migrations, of which the second has several statements and takes a moment.
func steps() []string {
	return []string{
		"CREATE TABLE IF NOT EXISTS a (b INT PRIMARY KEY)",
		"CREATE TABLE IF NOT EXISTS c (d VARBINARY(9) DEFAULT 'x;y');\nDO SLEEP(0.2);\n\tINSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE b = 1;\n",
	}
}

// Migrations run once, in order, by one process at a time, and go on where they were cut off.
func TestMigrate(t *testing.T) {
	t.Parallel()
	b := bench{engines.MariaDB(t)}
	t.Run("one of several processes migrates", func(t *testing.T) { oneMigrates(t, b) })
	t.Run("what does not fit is said by name", func(t *testing.T) { misfits(t, b) })
	t.Run("rooms have steps of their own", func(t *testing.T) { severalNames(t, b) })
	t.Run("a lost record runs the step again", func(t *testing.T) { recordLost(t, b) })
	t.Run("a killed server is gone on from", func(t *testing.T) { killedWhileMigrating(t, b) })
}

func applied(t *testing.T, db *mysql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM penstock_schema").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func oneMigrates(t *testing.T, b bench) {
	c := b.config(t)
	var ran atomic.Int64
	var all errgroup.Group
	for range 4 {
		db := open(t, c, mysql.Options{})
		all.Go(func() error {
			return mysql.Migrate(t.Context(), db, "stock", steps(), func(step, of int) {
				if of != 2 {
					t.Errorf("step %d of %d", step, of)
				}
				ran.Add(1)
			})
		})
	}
	if err := all.Wait(); err != nil || ran.Load() != 2 {
		t.Fatalf("four processes ran %d steps: %v", ran.Load(), err)
	}
}

func misfits(t *testing.T, b bench) {
	db := open(t, b.config(t), mysql.Options{})
	migrate := func(steps ...string) error { return mysql.Migrate(t.Context(), db, "stock", steps, nil) }
	two := steps()
	if err := migrate(two...); err != nil {
		t.Fatal(err)
	}
	if err := migrate(two[0]+"\n", strings.ReplaceAll(two[1], "\t", "    ")); err != nil {
		t.Errorf("the same steps, laid out otherwise: %v", err)
	}
	for want, steps := range map[string][]string{
		"newer release": {two[0]},
		"step 1 was changed after it was applied":     {"CREATE TABLE x (y INT)", two[1]},
		"step 3: Error 1064":                          {two[0], two[1], "CREATE TABLE IF EXISTS"},
		"in: ALTER TABLE nowhere ADD COLUMN e INT":    {two[0], two[1], "ALTER TABLE nowhere ADD COLUMN e INT"},
		"database mysql://root@" + db.Config().Addr(): {},
	} {
		if err := migrate(steps...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; wanted it to say %q", err, want)
		}
	}
	if n := applied(t, db); n != 2 {
		t.Errorf("%d steps on record", n)
	}
}

func severalNames(t *testing.T, b bench) {
	db := open(t, b.config(t), mysql.Options{})
	for _, name := range []string{"stock", "bus", "stock"} {
		if err := mysql.Migrate(t.Context(), db, name, steps(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := applied(t, db); n != 4 {
		t.Fatalf("%d steps on record, wanted 2 for each of 2 names", n)
	}
}

func recordLost(t *testing.T, b bench) {
	db := open(t, b.config(t), mysql.Options{})
	for range 2 {
		if err := mysql.Migrate(t.Context(), db, "stock", steps(), nil); err != nil {
			t.Fatal(err)
		}
		if n := applied(t, db); n != 2 {
			t.Fatalf("%d steps on record", n)
		}
		exec(t, db, "DELETE FROM penstock_schema WHERE step = 2")
	}
}

func killedWhileMigrating(t *testing.T, b bench) {
	db := open(t, b.config(t), mysql.Options{})
	slow := append(steps(), "DO SLEEP(30)")
	began := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		failed <- mysql.Migrate(t.Context(), db, "stock", slow, func(step, _ int) {
			if step == 3 {
				close(began)
			}
		})
	}()
	<-began
	b.server.Kill(t)
	if err := <-failed; !mysql.Lost(err) {
		t.Errorf("killed while migrating: %v", err)
	}
	b.server.Start(t)
	slow[2] = "CREATE TABLE IF NOT EXISTS e (f INT)"
	var ran []int
	if err := mysql.Migrate(t.Context(), db, "stock", slow, func(step, _ int) { ran = append(ran, step) }); err != nil {
		t.Fatal(err)
	}
	if len(ran) != 1 || ran[0] != 3 {
		t.Errorf("after the restart steps %v ran", ran)
	}
}
