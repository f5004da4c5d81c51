package partner

import "penstock/engine/sqldb"

// Times are Unix milliseconds. rev numbers all changes of all apps: whoever has seen rev n has seen everything up to n. A deleted
// app keeps its row, without secrets, so that the others see it go. secrets is JSON (secrets.go).
func schema() sqldb.Schema {
	return sqldb.Schema{Name: "partner", SQLite: []string{sqliteTables}, MySQL: []string{mysqlTables}}
}

const sqliteTables = `
CREATE TABLE partner_apps (
	id TEXT PRIMARY KEY, rev INTEGER NOT NULL, deleted INTEGER NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
	enabled INTEGER NOT NULL, why TEXT NOT NULL, sandbox INTEGER NOT NULL, apis TEXT NOT NULL, per_minute INTEGER NOT NULL,
	per_day INTEGER NOT NULL, secrets BLOB NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX partner_apps_rev ON partner_apps (rev);
CREATE TABLE partner_nonces (id BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX partner_nonces_until ON partner_nonces (until);`

const mysqlTables = `
CREATE TABLE IF NOT EXISTS partner_apps (
	id VARBINARY(64) NOT NULL PRIMARY KEY, rev BIGINT NOT NULL, deleted TINYINT NOT NULL, name BLOB NOT NULL, description BLOB NOT NULL,
	enabled TINYINT NOT NULL, why BLOB NOT NULL, sandbox TINYINT NOT NULL, apis BLOB NOT NULL, per_minute BIGINT NOT NULL,
	per_day BIGINT NOT NULL, secrets BLOB NOT NULL, version BIGINT NOT NULL, created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL,
	UNIQUE KEY partner_apps_rev (rev)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS partner_nonces (
	id BINARY(32) NOT NULL PRIMARY KEY, until BIGINT NOT NULL, KEY partner_nonces_until (until)
) ENGINE=InnoDB;`
