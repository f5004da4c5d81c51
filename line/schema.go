package line

import (
	"context"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
)

// Times are Unix milliseconds. An entry is numbered by its line; live is 0 for a live entry and its number for an ended one, so that
// a user has one live entry. changes numbers the batches of a line: what a batch moved stands in line_moves under its number, and
// what it added in line_entries. pot is the number of entries in a draw's pot, -1 until the pot is closed.
func schema() sqldb.Schema {
	return sqldb.Schema{Name: "line", SQLite: []string{sqliteTables, listedAt}, MySQL: []string{mysqlTables, listedAtMySQL}}
}

const sqliteTables = `
CREATE TABLE line_lines (
	id INTEGER PRIMARY KEY, sale TEXT NOT NULL, sku TEXT NOT NULL, draw INTEGER NOT NULL, next_seq INTEGER NOT NULL,
	changes INTEGER NOT NULL, pot INTEGER NOT NULL, closed_at INTEGER NOT NULL, secret BLOB NOT NULL, salt BLOB NOT NULL,
	source TEXT NOT NULL, value TEXT NOT NULL, valued_at INTEGER NOT NULL, caller TEXT NOT NULL, caller_until INTEGER NOT NULL,
	UNIQUE (sale, sku)
) STRICT;
CREATE TABLE line_entries (
	line INTEGER NOT NULL, seq INTEGER NOT NULL, user TEXT NOT NULL, live INTEGER NOT NULL, state INTEGER NOT NULL,
	joined_at INTEGER NOT NULL, joined_n INTEGER NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (line, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX line_entries_user ON line_entries (line, user, live);
CREATE TABLE line_moves (
	line INTEGER NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, state INTEGER NOT NULL, at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (line, n, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE line_nodes (
	line INTEGER NOT NULL, node TEXT NOT NULL, at INTEGER NOT NULL, latency INTEGER NOT NULL, seen BLOB NOT NULL,
	PRIMARY KEY (line, node)
) STRICT;`

const mysqlTables = `
CREATE TABLE IF NOT EXISTS line_lines (
	id BIGINT NOT NULL PRIMARY KEY, sale VARBINARY(128) NOT NULL, sku VARBINARY(255) NOT NULL, draw TINYINT NOT NULL, next_seq BIGINT NOT NULL,
	changes BIGINT NOT NULL, pot BIGINT NOT NULL, closed_at BIGINT NOT NULL, secret VARBINARY(64) NOT NULL, salt VARBINARY(64) NOT NULL,
	source VARBINARY(512) NOT NULL, value VARBINARY(2048) NOT NULL, valued_at BIGINT NOT NULL, caller VARBINARY(64) NOT NULL, caller_until BIGINT NOT NULL,
	UNIQUE KEY line_lines_sku (sale, sku)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS line_entries (
	line BIGINT NOT NULL, seq BIGINT NOT NULL, user VARBINARY(512) NOT NULL, live BIGINT NOT NULL, state TINYINT NOT NULL,
	joined_at BIGINT NOT NULL, joined_n BIGINT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (line, seq),
	UNIQUE KEY line_entries_user (line, user, live)
) ENGINE=InnoDB STATS_PERSISTENT=0;
CREATE TABLE IF NOT EXISTS line_moves (
	line BIGINT NOT NULL, n BIGINT NOT NULL, seq BIGINT NOT NULL, state TINYINT NOT NULL, at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL, units BIGINT NOT NULL, PRIMARY KEY (line, n, seq)
) ENGINE=InnoDB STATS_PERSISTENT=0;
CREATE TABLE IF NOT EXISTS line_nodes (
	line BIGINT NOT NULL, node VARBINARY(64) NOT NULL, at BIGINT NOT NULL, latency BIGINT NOT NULL, seen MEDIUMBLOB NOT NULL,
	PRIMARY KEY (line, node)
) ENGINE=InnoDB;`

// listedAt is when the pot was closed and its list published, 0 before.
const listedAt = `ALTER TABLE line_lines ADD COLUMN listed_at INTEGER NOT NULL DEFAULT 0;`

// A crash may come between the column and the mark that it is there.
const listedAtMySQL = `
SET @ddl = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'line_lines'
	AND column_name = 'listed_at') = 0, 'ALTER TABLE line_lines ADD COLUMN listed_at BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE ddl FROM @ddl;
EXECUTE ddl;
DEALLOCATE PREPARE ddl;`

// Store keeps the lines: a file that one process owns, or a MySQL database that several share.
type Store = sqldb.Store

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}
