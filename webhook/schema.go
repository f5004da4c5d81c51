package webhook

import "penstock/engine/sqldb"

// Times are Unix milliseconds. Secrets are sealed (secrets.go). seq numbers an endpoint's deliveries; next_seq is the next one.
// owner is the process that works the endpoint, and beat counts its signs of life. next_at is NULL unless the delivery is due.
func schema() sqldb.Schema {
	return sqldb.Schema{Name: "webhook", SQLite: []string{sqliteTables}, MySQL: []string{mysqlTables}}
}

const sqliteTables = `
CREATE TABLE webhook_endpoints (
	id TEXT PRIMARY KEY, url TEXT NOT NULL, description TEXT NOT NULL, events TEXT NOT NULL, secrets BLOB NOT NULL,
	rate INTEGER NOT NULL, concurrency INTEGER NOT NULL, enabled INTEGER NOT NULL, why TEXT NOT NULL, version INTEGER NOT NULL,
	failing_since INTEGER NOT NULL, paused_until INTEGER NOT NULL, failures INTEGER NOT NULL, next_seq INTEGER NOT NULL,
	owner TEXT NOT NULL, beat INTEGER NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE webhook_events (
	id TEXT PRIMARY KEY, topic TEXT NOT NULL, type TEXT NOT NULL, user TEXT NOT NULL, at INTEGER NOT NULL, seen INTEGER NOT NULL,
	body BLOB NOT NULL
) STRICT;
CREATE INDEX webhook_events_seen ON webhook_events (seen, id);
CREATE TABLE webhook_deliveries (
	endpoint TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, type TEXT NOT NULL, user TEXT NOT NULL, state INTEGER NOT NULL,
	tries INTEGER NOT NULL, replays INTEGER NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL, at INTEGER NOT NULL,
	tried_at INTEGER NOT NULL, next_at INTEGER, PRIMARY KEY (endpoint, seq), UNIQUE (endpoint, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_user ON webhook_deliveries (endpoint, user, state, seq);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, state, next_at);`

const mysqlTables = `
CREATE TABLE IF NOT EXISTS webhook_endpoints (
	id VARBINARY(64) NOT NULL PRIMARY KEY, url BLOB NOT NULL, description BLOB NOT NULL, events BLOB NOT NULL, secrets BLOB NOT NULL,
	rate INT NOT NULL, concurrency INT NOT NULL, enabled TINYINT NOT NULL, why BLOB NOT NULL, version BIGINT NOT NULL,
	failing_since BIGINT NOT NULL, paused_until BIGINT NOT NULL, failures INT NOT NULL, next_seq BIGINT NOT NULL,
	owner VARBINARY(64) NOT NULL, beat BIGINT NOT NULL, created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS webhook_events (
	id VARBINARY(64) NOT NULL PRIMARY KEY, topic VARBINARY(255) NOT NULL, type VARBINARY(255) NOT NULL, user VARBINARY(512) NOT NULL,
	at BIGINT NOT NULL, seen BIGINT NOT NULL, body MEDIUMBLOB NOT NULL, KEY webhook_events_seen (seen, id)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS webhook_deliveries (
	endpoint VARBINARY(64) NOT NULL, seq BIGINT NOT NULL, event VARBINARY(64) NOT NULL, type VARBINARY(255) NOT NULL,
	user VARBINARY(512) NOT NULL, state TINYINT NOT NULL, tries INT NOT NULL, replays INT NOT NULL, status INT NOT NULL,
	error VARBINARY(512) NOT NULL, at BIGINT NOT NULL, tried_at BIGINT NOT NULL, next_at BIGINT,
	PRIMARY KEY (endpoint, seq), UNIQUE KEY webhook_deliveries_event (endpoint, event),
	KEY webhook_deliveries_user (endpoint, user, state, seq), KEY webhook_deliveries_due (endpoint, state, next_at)
) ENGINE=InnoDB;`
