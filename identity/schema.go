package identity

import (
	"context"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
)

// Store keeps the room's rows: a file that one process owns, or a MySQL database that several share.
type Store = sqldb.Store

// Times are Unix milliseconds. The version is raised by every change that a snapshot must learn of. id of a session, a code and
// a token is the SHA-256 of the secret, in hexadecimal. used and revoked are 0 until it happens.
const sqliteSchema = `
CREATE TABLE identity_version (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
INSERT INTO identity_version (id, n) VALUES (1, 1);
CREATE TABLE identity_users (
	name TEXT PRIMARY KEY, role TEXT NOT NULL, display TEXT NOT NULL, email TEXT NOT NULL, password TEXT NOT NULL, disabled INTEGER NOT NULL,
	totp BLOB NOT NULL, totp_last INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_recovery (user TEXT NOT NULL, code TEXT NOT NULL, PRIMARY KEY (user, code)) STRICT, WITHOUT ROWID;
CREATE TABLE identity_sessions (
	id TEXT PRIMARY KEY, user TEXT NOT NULL, pending INTEGER NOT NULL, created INTEGER NOT NULL, auth INTEGER NOT NULL, seen INTEGER NOT NULL,
	ends INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL, methods TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_sessions_user ON identity_sessions (user, created);
CREATE TABLE identity_throttle (id TEXT PRIMARY KEY, failures INTEGER NOT NULL, last INTEGER NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX identity_throttle_last ON identity_throttle (last);
CREATE TABLE identity_oidc_keys (
	kid TEXT PRIMARY KEY, alg TEXT NOT NULL, public TEXT NOT NULL, sealed BLOB NOT NULL, created INTEGER NOT NULL, retired INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_oidc_clients (
	id TEXT PRIMARY KEY, doc TEXT NOT NULL, secret TEXT NOT NULL, created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_oidc_grants (
	id TEXT PRIMARY KEY, client TEXT NOT NULL, user TEXT NOT NULL, session TEXT NOT NULL, doc TEXT NOT NULL, ends INTEGER NOT NULL, revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_oidc_grants_session ON identity_oidc_grants (session);
CREATE INDEX identity_oidc_grants_ends ON identity_oidc_grants (ends);
CREATE TABLE identity_oidc_tokens (
	id TEXT PRIMARY KEY, kind TEXT NOT NULL, grant_id TEXT NOT NULL, ends INTEGER NOT NULL, used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_oidc_tokens_ends ON identity_oidc_tokens (ends);
`

const mysqlSchema = `
CREATE TABLE IF NOT EXISTS identity_version (id INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB;
INSERT INTO identity_version (id, n) VALUES (1, 1) ON DUPLICATE KEY UPDATE id=id;
CREATE TABLE IF NOT EXISTS identity_users (
	name VARBINARY(64) NOT NULL PRIMARY KEY, role VARBINARY(16) NOT NULL, display VARBINARY(200) NOT NULL, email VARBINARY(200) NOT NULL,
	password VARBINARY(255) NOT NULL, disabled TINYINT NOT NULL, totp VARBINARY(512) NOT NULL, totp_last BIGINT NOT NULL,
	created BIGINT NOT NULL, changed BIGINT NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_recovery (user VARBINARY(64) NOT NULL, code VARBINARY(64) NOT NULL, PRIMARY KEY (user, code)) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_sessions (
	id VARBINARY(64) NOT NULL PRIMARY KEY, user VARBINARY(64) NOT NULL, pending TINYINT NOT NULL, created BIGINT NOT NULL, auth BIGINT NOT NULL,
	seen BIGINT NOT NULL, ends BIGINT NOT NULL, address VARBINARY(64) NOT NULL, agent VARBINARY(255) NOT NULL, methods VARBINARY(64) NOT NULL,
	KEY identity_sessions_user (user, created)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_throttle (
	id VARBINARY(64) NOT NULL PRIMARY KEY, failures BIGINT NOT NULL, last BIGINT NOT NULL, until BIGINT NOT NULL, KEY identity_throttle_last (last)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_oidc_keys (
	kid VARBINARY(64) NOT NULL PRIMARY KEY, alg VARBINARY(16) NOT NULL, public BLOB NOT NULL, sealed BLOB NOT NULL, created BIGINT NOT NULL, retired BIGINT NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_oidc_clients (
	id VARBINARY(64) NOT NULL PRIMARY KEY, doc BLOB NOT NULL, secret VARBINARY(64) NOT NULL, created BIGINT NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_oidc_grants (
	id VARBINARY(64) NOT NULL PRIMARY KEY, client VARBINARY(64) NOT NULL, user VARBINARY(64) NOT NULL, session VARBINARY(64) NOT NULL, doc BLOB NOT NULL,
	ends BIGINT NOT NULL, revoked BIGINT NOT NULL, KEY identity_oidc_grants_session (session), KEY identity_oidc_grants_ends (ends)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS identity_oidc_tokens (
	id VARBINARY(64) NOT NULL PRIMARY KEY, kind VARBINARY(16) NOT NULL, grant_id VARBINARY(64) NOT NULL, ends BIGINT NOT NULL, used BIGINT NOT NULL,
	KEY identity_oidc_tokens_ends (ends)
) ENGINE=InnoDB;
`

// An enrolment is a second factor that waits for its first code: totp is sealed as in identity_users, recovery are digests with
// spaces between.
const sqliteEnrolments = `
CREATE TABLE identity_enrolments (user TEXT PRIMARY KEY, totp BLOB NOT NULL, recovery TEXT NOT NULL, began INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`

const mysqlEnrolments = `
CREATE TABLE IF NOT EXISTS identity_enrolments (
	user VARBINARY(64) NOT NULL PRIMARY KEY, totp VARBINARY(512) NOT NULL, recovery VARBINARY(1024) NOT NULL, began BIGINT NOT NULL
) ENGINE=InnoDB;
`

func schema() sqldb.Schema {
	return sqldb.Schema{Name: "identity", SQLite: []string{sqliteSchema, sqliteEnrolments}, MySQL: []string{mysqlSchema, mysqlEnrolments}}
}

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}
