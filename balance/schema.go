package balance

import (
	"context"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/saga/barrier"
)

// Store keeps balances: a file that one process owns, or a MySQL database that several share.
type Store = sqldb.Store

const barrierTable = barrier.Table("balance_barrier")

// The barrier as it was first: its rows did not know their age. Those that are there when they learn it begin to age then.
const (
	barrierSQLite = `CREATE TABLE balance_barrier (tx TEXT NOT NULL, branch TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tx, branch)) STRICT, WITHOUT ROWID;`
	barrierMySQL  = `CREATE TABLE IF NOT EXISTS balance_barrier (tx VARBINARY(64) NOT NULL, branch VARBINARY(64) NOT NULL, state VARBINARY(16) NOT NULL,
	PRIMARY KEY (tx, branch)) ENGINE=InnoDB;`
	agedSQLite = `ALTER TABLE balance_barrier ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
UPDATE balance_barrier SET at = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
CREATE INDEX balance_barrier_at ON balance_barrier (at);`
	agedMySQL = `
SET @ddl = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'balance_barrier'
	AND column_name = 'at') = 0, 'ALTER TABLE balance_barrier ADD COLUMN at BIGINT NOT NULL DEFAULT 0, ADD KEY balance_barrier_at (at)', 'DO 0');
PREPARE ddl FROM @ddl;
EXECUTE ddl;
DEALLOCATE PREPARE ddl;
UPDATE balance_barrier SET at = UNIX_TIMESTAMP() * 1000 WHERE at = 0;`
)

// schema of balances. Times are Unix milliseconds. Owner is "" for cash and revenue. once is the idempotency key; refusals are
// keys under which nothing will move any more. pos is 2n and 2n+1 for transaction n.
func schema() sqldb.Schema {
	return sqldb.Schema{Name: "balances", SQLite: []string{`
CREATE TABLE balance_books (slot INTEGER PRIMARY KEY, last_n INTEGER NOT NULL) STRICT;
CREATE TABLE balance_accounts (
	slot INTEGER NOT NULL, account TEXT NOT NULL, owner TEXT NOT NULL, currency TEXT NOT NULL, balance INTEGER NOT NULL,
	credit INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (slot, owner, account, currency)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance_transactions (
	slot INTEGER NOT NULL, n INTEGER NOT NULL, once TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, user TEXT NOT NULL, currency TEXT NOT NULL,
	amount INTEGER NOT NULL, ref TEXT NOT NULL, reason TEXT NOT NULL, who TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (slot, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX balance_transactions_ref ON balance_transactions (slot, ref) WHERE ref <> '';
CREATE TABLE balance_entries (
	slot INTEGER NOT NULL, pos INTEGER NOT NULL, n INTEGER NOT NULL, account TEXT NOT NULL, owner TEXT NOT NULL, currency TEXT NOT NULL,
	amount INTEGER NOT NULL, balance INTEGER NOT NULL, PRIMARY KEY (slot, pos)
) STRICT, WITHOUT ROWID;
CREATE INDEX balance_entries_owner ON balance_entries (slot, owner, pos);
CREATE TABLE balance_refusals (once TEXT PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
` + barrierSQLite, agedSQLite}, MySQL: []string{`
CREATE TABLE IF NOT EXISTS balance_books (slot INT NOT NULL PRIMARY KEY, last_n BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS balance_accounts (
	slot INT NOT NULL, account VARBINARY(16) NOT NULL, owner VARBINARY(512) NOT NULL, currency VARBINARY(8) NOT NULL, balance BIGINT NOT NULL,
	credit BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (slot, owner, account, currency)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS balance_transactions (
	slot INT NOT NULL, n BIGINT NOT NULL, once VARBINARY(255) NOT NULL, kind VARBINARY(16) NOT NULL, user VARBINARY(512) NOT NULL,
	currency VARBINARY(8) NOT NULL, amount BIGINT NOT NULL, ref VARBINARY(255) NOT NULL, reason BLOB NOT NULL, who VARBINARY(512) NOT NULL,
	at BIGINT NOT NULL, PRIMARY KEY (slot, n), UNIQUE KEY balance_transactions_once (once), KEY balance_transactions_ref (slot, ref)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS balance_entries (
	slot INT NOT NULL, pos BIGINT NOT NULL, n BIGINT NOT NULL, account VARBINARY(16) NOT NULL, owner VARBINARY(512) NOT NULL,
	currency VARBINARY(8) NOT NULL, amount BIGINT NOT NULL, balance BIGINT NOT NULL,
	PRIMARY KEY (slot, pos), KEY balance_entries_owner (slot, owner, pos)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS balance_refusals (once VARBINARY(255) NOT NULL PRIMARY KEY, why BLOB NOT NULL, at BIGINT NOT NULL) ENGINE=InnoDB;
` + barrierMySQL, agedMySQL}}
}

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}
