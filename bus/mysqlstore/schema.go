// Package mysqlstore keeps what the bus sets aside, parked messages and dead letters, and the cursors of its readers in one
// database of MySQL, MariaDB or TiDB that several processes share.
//
// [Store] implements [penstock/bus/driver.Store] and [Cursors] implements [penstock/bus/driver.Cursors]: every call that
// returns nil is durable. Use one database for both: a cursor that has moved past a parked message is then committed later in
// the same log, so whatever a power cut or a failover takes, it takes the cursor before the parked message.
//
// A call whose commit was not answered fails with mysql.ErrUnknown, and may be repeated as it is: Park keeps one of each
// message, Settle passes over what was settled, cursors see package driver. Only Replay and Discard, which a person asks for,
// answer errs.Unknown instead: the letter's state tells which it was. Deadlocks and lock timeouts are run again here.
package mysqlstore

import (
	"context"

	"penstock/engine/mysql"
)

// migrations are applied in order and never edited. Times are Unix nanoseconds, 0 for none, but lease_until, which is in
// microseconds of the server's clock; headers are a JSON object.
//
// parked_user has one row for each user of a group with parked messages: the place and the due time of the oldest of them, the
// only one that may be tried. Whoever changes the queue of a user locks that row first, so that a head is never lost or made
// twice by two processes that each see half of the queue.
//
// dead_letter.told is 1 on letters that were copied to where else they are wanted.
//
// The comment with T! asks TiDB to number rows in the order in which they come, as the others do; its servers would each number
// from a range of their own.
func migrations() []string {
	return []string{"CREATE TABLE IF NOT EXISTS `cursor` (" + `
	consumer_group VARBINARY(128) NOT NULL,
	topic          VARBINARY(128) NOT NULL,
	source         VARBINARY(255) NOT NULL,
	position       BIGINT UNSIGNED NOT NULL,
	owner          VARBINARY(128) NOT NULL,
	lease_until    BIGINT NOT NULL,
	epoch          BIGINT NOT NULL,
	PRIMARY KEY (consumer_group, topic, source),
	KEY cursor_low (source, position)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS parked (
	seq              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	consumer_group   VARBINARY(128) NOT NULL,
	message_id       VARBINARY(512) NOT NULL,
	topic            VARBINARY(128) NOT NULL,
	user             VARBINARY(512) NOT NULL,
	message_key      VARBINARY(512) NOT NULL,
	type             VARBINARY(255) NOT NULL,
	payload          LONGBLOB,
	headers          LONGBLOB NOT NULL,
	at               BIGINT NOT NULL,
	origin_partition INT NOT NULL,
	origin_offset    BIGINT UNSIGNED NOT NULL,
	tries            INT NOT NULL,
	error            LONGBLOB NOT NULL,
	due              BIGINT NOT NULL,
	replays          INT NOT NULL,
	UNIQUE KEY parked_once (consumer_group, topic, message_id),
	KEY parked_queue (consumer_group, user, seq)
) ENGINE=InnoDB /*T![auto_id_cache] AUTO_ID_CACHE 1 */;

CREATE TABLE IF NOT EXISTS parked_user (
	consumer_group VARBINARY(128) NOT NULL,
	user           VARBINARY(512) NOT NULL,
	head           BIGINT NOT NULL,
	due            BIGINT NOT NULL,
	PRIMARY KEY (consumer_group, user),
	KEY parked_user_due (consumer_group, due, head)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS dead_letter (
	id               BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	consumer_group   VARBINARY(128) NOT NULL,
	message_id       VARBINARY(512) NOT NULL,
	topic            VARBINARY(128) NOT NULL,
	user             VARBINARY(512) NOT NULL,
	message_key      VARBINARY(512) NOT NULL,
	type             VARBINARY(255) NOT NULL,
	payload          LONGBLOB,
	headers          LONGBLOB NOT NULL,
	at               BIGINT NOT NULL,
	origin_partition INT NOT NULL,
	origin_offset    BIGINT UNSIGNED NOT NULL,
	reason           LONGBLOB NOT NULL,
	attempts         INT NOT NULL,
	failed_at        BIGINT NOT NULL,
	replays          INT NOT NULL,
	state            VARBINARY(16) NOT NULL,
	note             LONGBLOB NOT NULL,
	settled_at       BIGINT NOT NULL,
	UNIQUE KEY dead_letter_once (consumer_group, topic, message_id, replays),
	KEY dead_letter_open (consumer_group, state),
	KEY dead_letter_state (state, id)
) ENGINE=InnoDB /*T![auto_id_cache] AUTO_ID_CACHE 1 */;
`, `
ALTER TABLE dead_letter ADD COLUMN told TINYINT NOT NULL DEFAULT 0, ADD KEY dead_letter_untold (told, id);
`}
}

// Migrate makes or updates the tables in db. Several processes may call it at once.
func Migrate(ctx context.Context, db *mysql.DB, progress func(step, of int)) error {
	return mysql.Migrate(ctx, db, "bus", migrations(), progress)
}
