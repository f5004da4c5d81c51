package outbox

import "penstock/engine/sqldb"

// Into returns a room's schema with the message table as one more migration at the end. A room that has been released adds it
// once, and adds later migrations of its own behind it. On MySQL several rooms of a database may do so: the table is one.
func Into(s sqldb.Schema) sqldb.Schema {
	s.SQLite = append(s.SQLite[:len(s.SQLite):len(s.SQLite)], SQLite)
	s.MySQL = append(s.MySQL[:len(s.MySQL):len(s.MySQL)], MySQL)
	return s
}

// SQLite and MySQL are the migrations that make the table, for rooms that keep their schema in another form. They are never
// edited. Times are Unix nanoseconds; headers are a JSON object. seq is the number of a message in its topic; on MySQL it is 0
// until the row, which has an id from the start, is numbered. message_outbox_head has the highest number given (MySQL) and the
// number up to which every group has got the messages.
const (
	SQLite = `
CREATE TABLE message_outbox (
	seq         INTEGER PRIMARY KEY AUTOINCREMENT,
	topic       TEXT NOT NULL,
	message_id  TEXT NOT NULL,
	user        TEXT NOT NULL,
	message_key TEXT NOT NULL,
	type        TEXT NOT NULL,
	payload     BLOB NOT NULL,
	headers     TEXT NOT NULL,
	at          INTEGER NOT NULL
);
CREATE INDEX message_outbox_topic ON message_outbox (topic, seq);
CREATE TABLE message_outbox_head (
	topic TEXT NOT NULL PRIMARY KEY,
	last  INTEGER NOT NULL,
	sent  INTEGER NOT NULL
) WITHOUT ROWID;
`
	MySQL = `
CREATE TABLE IF NOT EXISTS message_outbox (
	id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	seq         BIGINT NOT NULL DEFAULT 0,
	topic       VARBINARY(128) NOT NULL,
	message_id  VARBINARY(255) NOT NULL,
	user        VARBINARY(255) NOT NULL,
	message_key VARBINARY(255) NOT NULL,
	type        VARBINARY(255) NOT NULL,
	payload     LONGBLOB NOT NULL,
	headers     LONGBLOB NOT NULL,
	at          BIGINT NOT NULL,
	KEY message_outbox_topic (topic, seq, id)
) ENGINE=InnoDB /*T![auto_id_cache] AUTO_ID_CACHE 1 */;

CREATE TABLE IF NOT EXISTS message_outbox_head (
	topic VARBINARY(128) NOT NULL PRIMARY KEY,
	last  BIGINT NOT NULL,
	sent  BIGINT NOT NULL
) ENGINE=InnoDB;
`
)
