package balance_test

import (
	"path/filepath"
	"testing"

	"penstock/balance"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
	"penstock/internal/fault"
)

// engine is a database under the ledger.
type engine struct {
	// place makes an empty database and says where it is.
	place func(t testing.TB) string
	// open opens it once more, as another process would; only where shared.
	open   func(t testing.TB, where string, faults *fault.Points) *balance.Balances
	shared bool
	// ops is how many acts a run of the model has.
	ops int
}

var onSQLite = engine{
	place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "balances.db") },
	open: func(t testing.TB, where string, faults *fault.Points) *balance.Balances {
		t.Helper()
		s, err := balance.OpenSQLite(t.Context(), where, groupcommit.Options{Fault: faults})
		if err != nil {
			t.Fatal(err)
		}
		b := balance.New(s, balance.Options{})
		t.Cleanup(func() { b.Close() })
		return b
	},
	ops: 60,
}

func onMySQL(server *engines.Server) engine {
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string, faults *fault.Points) *balance.Balances {
			t.Helper()
			return openMySQL(t, where, mysql.Options{Pool: 12}, faults)
		},
		shared: true, ops: 25,
	}
}

func openMySQL(t testing.TB, where string, pool mysql.Options, faults *fault.Points) *balance.Balances {
	t.Helper()
	c, err := mysql.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), c, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := balance.OpenMySQL(t.Context(), db, sqldb.Options{Fault: faults})
	if err != nil {
		t.Fatal(err)
	}
	return balance.New(s, balance.Options{})
}

// testImport: a ledger that moves to another database is the same there, also when the move is repeated, and goes on.
func testImport(t *testing.T, server *engines.Server) {
	path := onSQLite.place(t)
	w := &world{t: t, opened: []*balance.Balances{onSQLite.open(t, path, nil)}}
	for i := range 210 {
		w.topUp([]string{"ann", "zo\u00eb"}[i%2], 5)
	}
	w.calls(branch("a", 10), "tc")
	w.calls(branch("b", 10_000), "t")
	if _, _, err := w.b().Void(t.Context(), 1, "void", "given up"); err != nil {
		t.Fatal(err)
	}
	if err := w.b().Close(); err != nil {
		t.Fatal(err)
	}
	from, err := balance.OpenSQLite(t.Context(), path, groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	c, err := mysql.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	to, err := balance.OpenMySQL(t.Context(), db, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]uint64{}
	for range 2 {
		if err := balance.Import(t.Context(), from, to, func(table string, n uint64) { rows[table] = n }); err != nil {
			t.Fatal(err)
		}
	}
	if rows["balance_transactions"] != 212 || rows["balance_entries"] != 424 || rows["balance_refusals"] != 1 || rows["balance_barrier"] != 2 {
		t.Errorf("copied %v", rows)
	}
	w.opened = []*balance.Balances{balance.New(to, balance.Options{})}
	w.has("ann", 515, 0)
	w.has("zo\u00eb", 525, 0)
	if got := w.calls(branch("a", 10), "tcx"); got != "..-" {
		t.Errorf("the barrier says %s", got)
	}
	w.turn.Add(1000)
	w.topUp("ann", 1)
	w.audit()
	if err := balance.Import(t.Context(), from, to, func(string, uint64) {}); err == nil {
		t.Error("a target that went on was taken for the source")
	}
}

// policy is what must be true on every engine.
var policy = map[string]func(*testing.T, engine){
	"agrees with a model":         testModel,
	"keys":                        testKeys,
	"refusals last":               testRefusalsLast,
	"many payers":                 testManyPayers,
	"refunds stay within payment": testRefunds,
	"credit":                      testCredit,
	"pages":                       testPages,
	"commit not answered":         testCommitNotAnswered,
	"reopened":                    testReopened,
	"barrier":                     testBarrier,
	"forgotten barrier":           testForgottenBarrier,
	"pruned barrier":              testPrunedBarrier,
	"try meets cancel":            testTryMeetsCancel,
	"export while it moves":       testExportWhileItMoves,
	"what is no movement":         testInvalid,
}

// The policy over SQLite.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { test(t, onSQLite) })
	}
}

// The same policy over MariaDB, where every other act comes from another process, and a commit whose reply is lost.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { test(t, onMySQL(server)) })
	}
	t.Run("import", func(t *testing.T) { testImport(t, server) })
	t.Run("reply lost", func(t *testing.T) { testReplyLost(t, server) })
}
