// Package barrier lets a participant answer calls that come late, twice or out of order, without thinking about them.
//
// A [Table] lies in the participant's own database and is written in the participant's own transaction, so that a call's
// effect and the memory of it are one commit. It holds one row per branch:
//
//	          try                 confirm
//	(none) ─────────► tried ─────────────────► confirmed
//	   │                 │ cancel
//	   │ cancel          ▼
//	   └──────► void  cancelled
//
// A cancel before its try is remembered as void, answered ok and does nothing. A try after a cancel is refused: nobody would
// ever end it. A repeat has no second effect. A confirm without a try, or after a cancel, and a cancel after a confirm are
// refused.
package barrier

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/saga/participant"
)

// Op is one of the three calls.
type Op string

// The calls.
const (
	Try     Op = "try"
	Confirm Op = "confirm"
	Cancel  Op = "cancel"
)

// Table is the name of a barrier table. Each room has its own, such as "balance_barrier". Rows are 200 bytes and know when they
// changed last, in Unix milliseconds; old ones are for [Table.Prune].
type Table string

// Keep is the least time that a row stays after its branch has ended. It is longer than any coordinator that follows
// docs/transactions.md goes on calling by itself.
const Keep = 7 * 24 * time.Hour

const (
	tried     = "tried"
	confirmed = "confirmed"
	cancelled = "cancelled"
	void      = "void"
)

// SQLite returns the statement of a migration that makes the table in a SQLite file.
func (t Table) SQLite() string {
	return `CREATE TABLE ` + string(t) + ` (tx TEXT NOT NULL, branch TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tx, branch)) STRICT, WITHOUT ROWID;
CREATE INDEX ` + string(t) + `_at ON ` + string(t) + ` (at);` + "\n"
}

// MySQL returns the statement of a migration that makes the table in a MySQL database.
func (t Table) MySQL() string {
	return `CREATE TABLE IF NOT EXISTS ` + string(t) + ` (tx VARBINARY(64) NOT NULL, branch VARBINARY(64) NOT NULL, state VARBINARY(16) NOT NULL,
	at BIGINT NOT NULL, PRIMARY KEY (tx, branch), KEY ` + string(t) + `_at (at)) ENGINE=InnoDB;` + "\n"
}

// Enter notes a call in the transaction that will have its effect. first says that the effect is to be had now; false with a
// nil error means that nothing is left to do and the answer is ok. An error for which [participant.Refused] is true is the
// answer: the transaction must end without effect. Calls about one branch that meet wait for each other at its row.
func (t Table) Enter(tx sqldb.Tx, now time.Time, transaction, branch string, op Op) (first bool, err error) {
	fresh := map[Op]string{Try: tried, Cancel: void}[op]
	if fresh != "" {
		made, err := tx.Insert(`INSERT INTO `+string(t)+` (tx, branch, state, at) VALUES (?,?,?,?)`, transaction, branch, fresh, now.UnixMilli())
		if err != nil || made {
			return made && op == Try, err
		}
	}
	var state string
	err = tx.Scan(tx.Locking(`SELECT state FROM `+string(t)+` WHERE tx=? AND branch=?`), []any{transaction, branch}, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, no(branch, "was never tried")
	}
	if err != nil {
		return false, err
	}
	switch {
	case op == Try && (state == tried || state == confirmed), op == Confirm && state == confirmed, op == Cancel && (state == cancelled || state == void):
		return false, nil
	case op == Confirm && state == tried:
		return true, t.set(tx, now, transaction, branch, confirmed)
	case op == Cancel && state == tried:
		return true, t.set(tx, now, transaction, branch, cancelled)
	}
	return false, no(branch, "is "+state)
}

// Forget removes the rows of a transaction. Nobody may call about it any more: a call that comes all the same finds a branch
// that was never tried.
func (t Table) Forget(tx sqldb.Tx, transaction string) error {
	_, err := tx.Exec(`DELETE FROM `+string(t)+` WHERE tx=?`, transaction)
	return err
}

func (t Table) set(tx sqldb.Tx, now time.Time, transaction, branch, state string) error {
	n, err := tx.Exec(`UPDATE `+string(t)+` SET state=?, at=? WHERE tx=? AND branch=?`, state, now.UnixMilli(), transaction, branch)
	if err == nil && n != 1 {
		err = fmt.Errorf("the row of branch %s has gone from %s", branch, t)
	}
	return err
}

func no(branch, why string) error {
	return participant.Refuse(errs.New(errs.IllegalTransition, "branch %s %s", branch, why))
}
