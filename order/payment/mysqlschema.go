package payment

const mysqlTables = `
CREATE TABLE IF NOT EXISTS payments (
	id BIGINT NOT NULL PRIMARY KEY, ord BIGINT NOT NULL, user VARBINARY(512) NOT NULL, ` + "`key`" + ` VARBINARY(512) NOT NULL, body VARBINARY(64) NOT NULL,
	provider VARBINARY(64) NOT NULL, ref VARBINARY(255) NOT NULL, state VARBINARY(16) NOT NULL, amount BIGINT NOT NULL, currency VARBINARY(16) NOT NULL,
	captured BIGINT NOT NULL, refunded BIGINT NOT NULL, payer TINYINT NOT NULL, late TINYINT NOT NULL,
	outcome VARBINARY(255) NOT NULL, after_ms BIGINT NOT NULL, trace BLOB NOT NULL, pay_before BIGINT NOT NULL,
	at BIGINT NOT NULL, next_at BIGINT, tries INT NOT NULL,
	ref_once VARBINARY(255) GENERATED ALWAYS AS (CASE WHEN LENGTH(ref) > 0 THEN ref END) STORED,
	payer_of BIGINT GENERATED ALWAYS AS (CASE WHEN payer = 1 THEN ord END) STORED,
	UNIQUE KEY payments_key (ord, user, ` + "`key`" + `),
	UNIQUE KEY payments_ref (provider, ref_once),
	UNIQUE KEY payments_payer (payer_of),
	KEY payments_due (next_at)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS refunds (
	id BIGINT NOT NULL PRIMARY KEY, ord BIGINT NOT NULL, payment BIGINT NOT NULL, user VARBINARY(512) NOT NULL, ` + "`key`" + ` VARBINARY(512) NOT NULL,
	body VARBINARY(64) NOT NULL, auto TINYINT NOT NULL, amount BIGINT NOT NULL, returned TINYINT NOT NULL, why BLOB NOT NULL,
	who BLOB NOT NULL, state VARBINARY(16) NOT NULL, seq BIGINT NOT NULL, trace BLOB NOT NULL, at BIGINT NOT NULL, next_at BIGINT, tries INT NOT NULL,
	key_asked VARBINARY(512) GENERATED ALWAYS AS (CASE WHEN auto = 0 THEN ` + "`key`" + ` END) STORED,
	auto_of BIGINT GENERATED ALWAYS AS (CASE WHEN auto = 1 THEN payment END) STORED,
	UNIQUE KEY refunds_key (ord, user, key_asked),
	UNIQUE KEY refunds_auto (auto_of),
	KEY refunds_due (next_at),
	KEY refunds_payment (payment),
	KEY refunds_order (ord, seq)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS callbacks (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, provider VARBINARY(64) NOT NULL, id VARBINARY(255) NOT NULL, at BIGINT NOT NULL,
	UNIQUE KEY callbacks_id (provider, id)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS cases (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, payment BIGINT NOT NULL, kind VARBINARY(64) NOT NULL, ref VARBINARY(255) NOT NULL,
	amount BIGINT NOT NULL, currency VARBINARY(255) NOT NULL, detail MEDIUMBLOB NOT NULL, at BIGINT NOT NULL,
	UNIQUE KEY cases_once (payment, kind, ref)
) ENGINE=InnoDB;`
