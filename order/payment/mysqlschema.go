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

const mysqlLedger = `
CREATE TABLE IF NOT EXISTS late_money (payment BIGINT NOT NULL PRIMARY KEY, claim BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS closings (
	seq BIGINT NOT NULL PRIMARY KEY, action VARBINARY(32) NOT NULL, who BLOB NOT NULL, reason BLOB NOT NULL, at BIGINT NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS refund_details (
	refund BIGINT NOT NULL PRIMARY KEY, aside TINYINT NOT NULL, ref VARBINARY(255) NOT NULL, currency VARBINARY(255) NOT NULL
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS money (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, provider VARBINARY(64) NOT NULL, kind VARBINARY(16) NOT NULL, ref VARBINARY(255) NOT NULL,
	payment BIGINT NOT NULL, amount BIGINT NOT NULL, currency VARBINARY(255) NOT NULL, at BIGINT NOT NULL,
	UNIQUE KEY money_once (provider, kind, ref), KEY money_day (at, seq)
) ENGINE=InnoDB;
INSERT INTO money (provider, kind, ref, payment, amount, currency, at)
	SELECT p.provider, 'capture', p.ref, p.id, p.captured, p.currency, p.at FROM payments p WHERE p.captured > 0 AND p.ref <> ''
	AND NOT EXISTS (SELECT 1 FROM money m WHERE m.provider = p.provider AND m.kind = 'capture' AND m.ref = p.ref) ORDER BY p.id;
INSERT INTO money (provider, kind, ref, payment, amount, currency, at)
	SELECT p.provider, 'refund', CAST(r.id AS CHAR), p.id, r.amount, p.currency, r.at FROM refunds r JOIN payments p ON p.id = r.payment
	WHERE r.state IN ('paid_back', 'refunded')
	AND NOT EXISTS (SELECT 1 FROM money m WHERE m.provider = p.provider AND m.kind = 'refund' AND m.ref = CAST(r.id AS CHAR)) ORDER BY r.id;`
