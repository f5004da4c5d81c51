// Package sqlstore keeps what the bus sets aside, parked messages and dead letters, in one SQLite file (bus.db by custom).
//
// [Store] implements [penstock/bus/driver.Store]: every call that returns nil is durable. The file also holds [Cursors]. One
// file for both is deliberate: a cursor that has moved past a parked message comes later in the same log, so whatever a power
// cut takes, it takes the cursor before the parked message. Safe for concurrent use; several processes may share the file,
// which SQLite serialises.
package sqlstore

import (
	"context"

	"penstock/engine/sqlite"
)

// migrations are applied in order and never edited. Times are Unix nanoseconds, 0 for none; headers are a JSON object.
//
// dead_letter.told is 1 on letters that were copied to where else they are wanted.
//
// parked.head is 1 on the oldest message of each (consumer_group, user) and 0 on the others.
var migrations = []string{`
CREATE TABLE cursor (
	consumer_group TEXT NOT NULL,
	topic          TEXT NOT NULL,
	source         TEXT NOT NULL,
	position       INTEGER NOT NULL,
	owner          TEXT NOT NULL,
	lease_until    INTEGER NOT NULL,
	epoch          INTEGER NOT NULL,
	PRIMARY KEY (consumer_group, topic, source)
) WITHOUT ROWID;

CREATE TABLE parked (
	seq              INTEGER PRIMARY KEY AUTOINCREMENT,
	consumer_group   TEXT NOT NULL,
	message_id       TEXT NOT NULL,
	topic            TEXT NOT NULL,
	user             TEXT NOT NULL,
	message_key      TEXT NOT NULL,
	type             TEXT NOT NULL,
	payload          BLOB,
	headers          TEXT NOT NULL,
	at               INTEGER NOT NULL,
	origin_partition INTEGER NOT NULL,
	origin_offset    INTEGER NOT NULL,
	tries            INTEGER NOT NULL,
	error            TEXT NOT NULL,
	due              INTEGER NOT NULL,
	replays          INTEGER NOT NULL,
	head             INTEGER NOT NULL
);
CREATE UNIQUE INDEX parked_once ON parked (consumer_group, topic, message_id);
CREATE INDEX parked_queue ON parked (consumer_group, user, seq);
CREATE INDEX parked_due ON parked (consumer_group, due, seq) WHERE head = 1;
CREATE INDEX parked_users ON parked (consumer_group, user) WHERE head = 1;

CREATE TABLE dead_letter (
	id               INTEGER PRIMARY KEY AUTOINCREMENT,
	consumer_group   TEXT NOT NULL,
	message_id       TEXT NOT NULL,
	topic            TEXT NOT NULL,
	user             TEXT NOT NULL,
	message_key      TEXT NOT NULL,
	type             TEXT NOT NULL,
	payload          BLOB,
	headers          TEXT NOT NULL,
	at               INTEGER NOT NULL,
	origin_partition INTEGER NOT NULL,
	origin_offset    INTEGER NOT NULL,
	reason           TEXT NOT NULL,
	attempts         INTEGER NOT NULL,
	failed_at        INTEGER NOT NULL,
	replays          INTEGER NOT NULL,
	state            TEXT NOT NULL,
	note             TEXT NOT NULL,
	settled_at       INTEGER NOT NULL
);
CREATE UNIQUE INDEX dead_letter_once ON dead_letter (consumer_group, topic, message_id, replays);
CREATE INDEX dead_letter_open ON dead_letter (consumer_group) WHERE state = 'dead';
`, `
ALTER TABLE dead_letter ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
CREATE INDEX dead_letter_untold ON dead_letter (id) WHERE told = 0;
`}

// Open opens the file, creating and migrating it as needed. The caller closes it, after the bus has stopped.
func Open(ctx context.Context, path string, o sqlite.Options) (*sqlite.DB, error) {
	return sqlite.Open(ctx, path, migrations, o)
}
