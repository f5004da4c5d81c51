package sqlitestock

// migrations are the numbered steps of the schema. Times are microseconds since 1970 UTC, amounts minor units.
var migrations = []string{`
CREATE TABLE meta (
	one   INTEGER PRIMARY KEY CHECK (one = 1),
	epoch INTEGER NOT NULL, -- raised by each owner at its start; asserted in every transaction
	sent  INTEGER NOT NULL  -- every consumer has got the messages up to this seq
);
INSERT INTO meta VALUES (1, 0, 0);

CREATE TABLE sale (
	n         INTEGER PRIMARY KEY,
	id        TEXT NOT NULL UNIQUE,
	doc       TEXT NOT NULL,    -- JSON of the definition
	version   INTEGER NOT NULL,
	first_seq INTEGER NOT NULL, -- journal rows of the sale are after this one
	archived  INTEGER NOT NULL  -- 1 when its keys are in closed_key
);

CREATE TABLE stock (
	sale      INTEGER NOT NULL,
	sku       TEXT NOT NULL,
	offered   INTEGER NOT NULL,
	available INTEGER NOT NULL CHECK (available >= 0),
	held      INTEGER NOT NULL CHECK (held >= 0),
	sold      INTEGER NOT NULL CHECK (sold >= 0),
	withdrawn INTEGER NOT NULL,
	version   INTEGER NOT NULL,
	PRIMARY KEY (sale, sku),
	CHECK (offered - withdrawn = available + held + sold)
) WITHOUT ROWID;

CREATE TABLE journal (
	seq        INTEGER PRIMARY KEY,
	kind       INTEGER NOT NULL, -- 1 hold, 2 refuse, 3 sell, 4 release, 5 offer, 6 withdraw
	at         INTEGER NOT NULL,
	sale       INTEGER NOT NULL,
	user       TEXT,             -- hold, refuse
	key        TEXT,             -- hold, refuse, and an operator's key of offer, withdraw
	body       BLOB,             -- hash of the canonical body
	id         INTEGER,          -- attempt = order
	sku        TEXT,             -- the line, when there is one; for refuse the line that decided
	quantity   INTEGER,          -- units of the line; for refuse the units that were left
	price      INTEGER,
	lines      TEXT,             -- JSON [{sku,quantity,price}], when there are several; for refuse what was asked
	amount     INTEGER,
	currency   TEXT,
	pay_before INTEGER,
	release_at INTEGER,
	state      INTEGER,          -- of a hold: 1 held, 2 sold, 3 released
	ref        INTEGER,          -- sell, release: seq of the hold
	why        TEXT,             -- refuse: the code; release and offers: the reason; a released hold: its reason
	trace      TEXT
);

CREATE TABLE closed_key (
	sale INTEGER NOT NULL,
	user TEXT NOT NULL,
	key  TEXT NOT NULL,
	seq  INTEGER NOT NULL,
	PRIMARY KEY (sale, user, key)
) WITHOUT ROWID;

CREATE TABLE closed_order (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL);

CREATE TABLE audit (
	seq    INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	who    TEXT NOT NULL,
	act    TEXT NOT NULL,
	object TEXT NOT NULL,
	why    TEXT NOT NULL,
	before TEXT NOT NULL,
	after  TEXT NOT NULL,
	id     TEXT NOT NULL
);
CREATE UNIQUE INDEX audit_id ON audit (id) WHERE id <> '';
`, `
-- A row of kind 7 is an entry of a waiting list: user, key, sku, quantity; state 1 waiting, 2 offered, 3 left, 4 skipped; id is
-- the order it was offered. A row of kind 8 is an entry that left without an offer: ref is its row, why the reason.
ALTER TABLE stock ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0);

CREATE TABLE closed_wait (
	sale INTEGER NOT NULL,
	user TEXT NOT NULL,
	key  TEXT NOT NULL,
	seq  INTEGER NOT NULL,
	PRIMARY KEY (sale, user, key)
) WITHOUT ROWID;
`, `
-- The entry of a line whose pass the attempt used up; NULL without one. It was a refusal of its own under a key of its own.
ALTER TABLE journal ADD COLUMN pass INTEGER;
UPDATE journal SET pass = CAST(substr(key, 7) AS INTEGER) WHERE kind = 2 AND key LIKE '·pass:%';
`}
