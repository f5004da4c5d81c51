package payment_test

import (
	"path/filepath"
	"testing"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/order/payment"
)

// engine is a database under the policy.
type engine struct {
	// place makes an empty database and says where it is.
	place func(t testing.TB) string
	open  func(t testing.TB, where string, faults *fault.Points) payment.Store
	// pairs is the number of orders for which pay and expire race.
	pairs int
}

var onSQLite = engine{
	place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "payments.db") },
	open: func(t testing.TB, where string, faults *fault.Points) payment.Store {
		t.Helper()
		s, err := payment.OpenSQLite(t.Context(), where, groupcommit.Options{Fault: faults})
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
	pairs: sqlitePairs,
}

// onMySQL starts no server: each place is a fresh database of the one given.
func onMySQL(server *engines.Server) engine {
	return engine{
		place: func(t testing.TB) string { return server.Database(t) },
		open: func(t testing.TB, where string, faults *fault.Points) payment.Store {
			t.Helper()
			return openMySQL(t, where, mysql.Options{}, sqldb.Options{Fault: faults})
		},
		pairs: 100,
	}
}

func openMySQL(t testing.TB, where string, pool mysql.Options, o sqldb.Options) payment.Store {
	t.Helper()
	c, err := mysql.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	pool.Pool = 12
	db, err := mysql.Open(t.Context(), c, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := payment.OpenMySQL(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// policy is what must be true on every engine.
var policy = map[string]func(*testing.T, engine){
	"begin is idempotent":                 testBeginIsIdempotent,
	"only payable orders are paid":        testOnlyPayableOrdersArePaid,
	"lost requests and answers":           testLostRequestsAndAnswers,
	"unheard payment fails with claim":    testUnheardPaymentFailsOnlyWithTheClaim,
	"two sandboxes in one process":        testTwoSandboxesInOneProcess,
	"refused return is a case":            testRefusedReturnIsACaseAndTriedAgain,
	"refunds never exceed the capture":    testConcurrentRefundsNeverExceedTheCapture,
	"refund refusals":                     testRefundRefusals,
	"refund is idempotent":                testRefundIsIdempotent,
	"refund without an answer is unknown": testRefundWithoutAnAnswerIsUnknown,
	"wrong books are a case":              testWrongBooksAreACase,
	"every outcome":                       testEveryOutcome,
	"bad callbacks change nothing":        testBadCallbacksChangeNothing,
	"duplicates capture once":             testDuplicatesCaptureOnce,
	"capture wins over failure":           testCaptureWinsOverFailure,
	"transaction ids count once":          testTransactionIdsCountOnce,
	"pay versus expire":                   testPayVersusExpire,
	"late money is a setting":             testLateMoneyIsASetting,
	"late money that may not claim":       testLateMoneyThatMayNotClaim,
	"crash while late money claims":       testCrashWhileLateMoneyClaims,
	"late case is resolved":               testLateCaseIsResolved,
	"mismatch is resolved":                testMismatchIsResolved,
	"silence is a case":                   testSilenceIsACase,
	"statement":                           testStatement,
	"second payment goes back":            testSecondPaymentGoesBack,
	"export":                              testExport,
	"crash during capture":                testCrashDuringCapture,
	"crash during return of late money":   testCrashDuringReturnOfLateMoney,
	"crash during refund":                 testCrashDuringRefund,
	"unknown commit settles by key":       testUnknownCommitSettlesByKey,
	"refund before settled is not late":   testRefundBeforeSettledIsNotLate,
	"failed commit heals by itself":       testFailedCommitHealsByItself,
	"what is published":                   testTold,
}

// The policy over SQLite.
func TestPolicyOnSQLite(t *testing.T) {
	t.Parallel()
	for name, test := range policy {
		t.Run(name, func(t *testing.T) { test(t, onSQLite) })
	}
}

// The same policy over MySQL, with one process and with several. The tests share a server, because one costs more than they
// do, and have databases of their own.
func TestOnMySQL(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	on := onMySQL(server)
	for kind, tests := range map[string]map[string]func(*testing.T, engine){"policy": policy, "processes": processes} {
		t.Run(kind, func(t *testing.T) {
			for name, test := range tests {
				t.Run(name, func(t *testing.T) { test(t, on) })
			}
		})
	}
	t.Run("transfer", func(t *testing.T) { transferOnMySQL(t, on) })
	t.Run("transfer in two processes", func(t *testing.T) { testTransferInTwoProcesses(t, on) })
	t.Run("import", func(t *testing.T) { testImport(t, on) })
	t.Run("reply to commit lost", func(t *testing.T) { testReplyLost(t, server) })
	t.Run("server killed", func(t *testing.T) { testServerKilledDuringCaptures(t, server) })
}
