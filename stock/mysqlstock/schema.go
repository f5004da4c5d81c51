package mysqlstock

// schema is the numbered steps of the tables. Times are microseconds since 1970 UTC, amounts minor units; names compare as
// bytes. Each step may be run twice.
// schema is numbered migrations. STATS_PERSISTENT=0: tables that grow this fast have their persistent statistics made anew all
// the time, under a lock that every statement needs; that cost more than the inserts themselves.
var schema = []string{`
CREATE TABLE IF NOT EXISTS head (
	one     TINYINT NOT NULL PRIMARY KEY,
	seq     BIGINT UNSIGNED NOT NULL,
	audit   BIGINT UNSIGNED NOT NULL,
	edition BIGINT UNSIGNED NOT NULL,
	commits BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;
INSERT INTO head VALUES (1, 0, 0, 0, 0) ON DUPLICATE KEY UPDATE one = 1;

CREATE TABLE IF NOT EXISTS outbox (
	one  TINYINT NOT NULL PRIMARY KEY,
	sent BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;
INSERT INTO outbox VALUES (1, 0) ON DUPLICATE KEY UPDATE one = 1;

CREATE TABLE IF NOT EXISTS import (
	one  TINYINT NOT NULL PRIMARY KEY,
	done TINYINT NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS sale (
	id      VARBINARY(255) NOT NULL PRIMARY KEY,
	doc     MEDIUMTEXT NOT NULL,
	version BIGINT NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS stock (
	sale      VARBINARY(255) NOT NULL,
	sku       VARBINARY(255) NOT NULL,
	offered   BIGINT NOT NULL,
	available BIGINT NOT NULL,
	held      BIGINT NOT NULL,
	sold      BIGINT NOT NULL,
	withdrawn BIGINT NOT NULL,
	version   BIGINT NOT NULL,
	PRIMARY KEY (sale, sku),
	CONSTRAINT stock_not_negative CHECK (available >= 0 AND held >= 0 AND sold >= 0),
	CONSTRAINT stock_conserved CHECK (offered - withdrawn = available + held + sold)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS allowance (
	sale  VARBINARY(255) NOT NULL,
	sku   VARBINARY(255) NOT NULL,
	user  VARBINARY(255) NOT NULL,
	taken BIGINT NOT NULL,
	PRIMARY KEY (sale, sku, user)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS attempt (
	id         BIGINT NOT NULL PRIMARY KEY,
	user       VARBINARY(255) NOT NULL,
	sale       VARBINARY(255) NOT NULL,
	akey       VARBINARY(255) NOT NULL,
	body       BINARY(16) NOT NULL,
	at         BIGINT NOT NULL,
	reason     VARBINARY(64) NOT NULL,
	sku        VARBINARY(255) NOT NULL,
	remaining  BIGINT NOT NULL,
	items      MEDIUMTEXT NOT NULL,
	amount     BIGINT NOT NULL,
	currency   VARBINARY(16) NOT NULL,
	pay_before BIGINT NOT NULL,
	release_at BIGINT NOT NULL,
	state      TINYINT NOT NULL,
	why        VARCHAR(1000) NOT NULL,
	trace      VARBINARY(255) NOT NULL,
	UNIQUE KEY attempt_key (user, sale, akey),
	KEY attempt_due (state, release_at)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS journal (
	seq   BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	kind  TINYINT NOT NULL,
	at    BIGINT NOT NULL,
	ref   BIGINT NULL,
	why   VARCHAR(1000) NULL,
	trace VARBINARY(255) NULL,
	KEY journal_ref (ref, kind)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS offer (
	seq   BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	sale  VARBINARY(255) NOT NULL,
	sku   VARBINARY(255) NOT NULL,
	delta BIGINT NOT NULL,
	akey  VARBINARY(255) NULL,
	why   TEXT NOT NULL,
	UNIQUE KEY offer_key (sale, akey)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS audit (
	seq    BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	at     BIGINT NOT NULL,
	who    TEXT NOT NULL,
	act    TEXT NOT NULL,
	object TEXT NOT NULL,
	why    TEXT NOT NULL,
	before_value MEDIUMTEXT NOT NULL,
	after_value  MEDIUMTEXT NOT NULL,
	id     VARBINARY(255) NULL,
	UNIQUE KEY audit_id (id)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

CREATE TABLE IF NOT EXISTS node (
	n         TINYINT NOT NULL PRIMARY KEY,
	owner     VARBINARY(64) NOT NULL,
	epoch     BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	in_flight BIGINT NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;
INSERT INTO node VALUES
	(0,'',0,0,0),(1,'',0,0,0),(2,'',0,0,0),(3,'',0,0,0),(4,'',0,0,0),(5,'',0,0,0),(6,'',0,0,0),(7,'',0,0,0),
	(8,'',0,0,0),(9,'',0,0,0),(10,'',0,0,0),(11,'',0,0,0),(12,'',0,0,0),(13,'',0,0,0),(14,'',0,0,0),(15,'',0,0,0),
	(16,'',0,0,0),(17,'',0,0,0),(18,'',0,0,0),(19,'',0,0,0),(20,'',0,0,0),(21,'',0,0,0),(22,'',0,0,0),(23,'',0,0,0),
	(24,'',0,0,0),(25,'',0,0,0),(26,'',0,0,0),(27,'',0,0,0),(28,'',0,0,0),(29,'',0,0,0),(30,'',0,0,0),(31,'',0,0,0)
	ON DUPLICATE KEY UPDATE epoch = epoch;

CREATE TABLE IF NOT EXISTS lease (
	name    VARBINARY(255) NOT NULL PRIMARY KEY,
	owner   VARBINARY(64) NOT NULL,
	epoch   BIGINT NOT NULL,
	expires BIGINT NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;
`, `
CREATE TABLE IF NOT EXISTS waiting (
	seq      BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	sale     VARBINARY(255) NOT NULL,
	sku      VARBINARY(255) NOT NULL,
	user     VARBINARY(255) NOT NULL,
	akey     VARBINARY(255) NOT NULL,
	quantity BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	state    TINYINT NOT NULL,
	claim    BIGINT NOT NULL,
	why      VARBINARY(64) NOT NULL,
	UNIQUE KEY waiting_key (user, sale, akey),
	KEY waiting_line (sale, sku, state, seq)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=0;

SET @penstock_step = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'stock'
	AND column_name = 'waiting') = 0, 'ALTER TABLE stock ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE penstock_step FROM @penstock_step;
EXECUTE penstock_step;
DEALLOCATE PREPARE penstock_step;
`, `
SET @penstock_step = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'attempt'
	AND column_name = 'pass') = 0, 'ALTER TABLE attempt ADD COLUMN pass BIGINT NULL, ADD COLUMN passer VARBINARY(255) NULL', 'DO 0');
PREPARE penstock_step FROM @penstock_step;
EXECUTE penstock_step;
DEALLOCATE PREPARE penstock_step;

UPDATE attempt SET pass = CAST(SUBSTRING(akey, 8) AS SIGNED), passer = user WHERE reason = 'pass-used' AND akey LIKE '·pass:%';

SET @penstock_step = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'attempt'
	AND index_name = 'attempt_pass') = 0, 'ALTER TABLE attempt ADD UNIQUE KEY attempt_pass (pass, sale, passer)', 'DO 0');
PREPARE penstock_step FROM @penstock_step;
EXECUTE penstock_step;
DEALLOCATE PREPARE penstock_step;
`}
