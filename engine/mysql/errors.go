package mysql

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
)

// ErrUnknown says that a transaction was told to commit and did not answer: it may be durable, it may be gone, and it may
// still be decided. Absence in a read proves nothing; repeating under the same key does.
var ErrUnknown = errors.New("outcome of the commit is not known")

// Numbers of the server's errors, the same in MySQL, MariaDB and TiDB unless noted.
const (
	errTooManyConnections = 1040
	errDatabaseDenied     = 1044
	errAccessDenied       = 1045
	errUnknownDatabase    = 1049
	errShutdown           = 1053
	errDuplicate          = 1062
	errNormalShutdown     = 1077
	errHostDenied         = 1130
	errTableDenied        = 1142
	errColumnDenied       = 1143
	errIndexDuplicate     = 1169
	errUserLimit          = 1203
	errLockTimeout        = 1205
	errDeadlock           = 1213
	errSpecificDenied     = 1227
	errOptionPrevents     = 1290 // --read-only and its kin
	errDuplicateForeign   = 1586
	errReadOnlyTx         = 1792
	errReadOnlyMode       = 1836
	errKilled             = 1927 // MariaDB
	errHookFailed         = 3100 // MySQL: a replication hook refused the commit
	errHookRolledBack     = 3101
	errClientIdle         = 4031 // MySQL: the server closed an idle connection
	errSuperDenied        = 1419
	errWriteConflict      = 9007 // TiDB
	errTxnRetryable       = 8022 // TiDB
	errTxnLockNotFound    = 8002 // TiDB
)

func number(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

func oneOf(err error, numbers ...uint16) bool {
	n := number(err)
	return n != 0 && slices.Contains(numbers, n)
}

// Duplicate reports whether err is a violated primary or unique key: the statement is refused, the transaction is good.
func Duplicate(err error) bool {
	return oneOf(err, errDuplicate, errIndexDuplicate, errDuplicateForeign)
}

// Retry reports whether err is a deadlock or a lock that was not got in time: nothing of the transaction happened once it is
// rolled back, and the same may succeed when run again from its beginning.
func Retry(err error) bool {
	return !errors.Is(err, ErrUnknown) && oneOf(err, errLockTimeout, errDeadlock, errWriteConflict, errTxnRetryable, errTxnLockNotFound)
}

// Lost reports whether err says that the session ended or went silent. A single statement may then have happened or not; an
// open transaction did not and will not, unless the error came with [ErrUnknown].
func Lost(err error) bool {
	if oneOf(err, errShutdown, errNormalShutdown, errKilled, errClientIdle) {
		return true
	}
	for _, target := range []error{
		mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	_, network := errors.AsType[net.Error](err)
	return network
}

// Unavailable reports whether err says that the server could not take the work, so that nothing was executed: it was not
// reached, it has no room for a connection, it is shutting down, or it only reads at present. It may be well again later. A
// server that answers and refuses the user or the database is not unavailable: that needs a person.
func Unavailable(err error) bool {
	if errors.Is(err, ErrUnknown) {
		return false
	}
	if oneOf(err, errTooManyConnections, errUserLimit, errShutdown, errOptionPrevents, errReadOnlyMode) || errors.Is(err, errReadsOnly) {
		return true
	}
	if _, person := errors.AsType[*wrongError](err); person {
		return false
	}
	if _, never := errors.AsType[*connectError](err); never {
		return !refused(err)
	}
	return errors.Is(err, driver.ErrBadConn)
}

// refused reports an answer at login that waiting does not change.
func refused(err error) bool { return number(err) != 0 || untrusted(err) }

// rolledBack reports an answer to COMMIT that says for certain that nothing was committed.
func rolledBack(err error) bool {
	return oneOf(err, errLockTimeout, errDeadlock, errOptionPrevents, errReadOnlyTx, errReadOnlyMode, errHookFailed, errHookRolledBack,
		errWriteConflict, errTxnRetryable, errTxnLockNotFound)
}
