// Package sqlitestock keeps the stock database in one SQLite file: the embedded driver of package stock.
//
// One table carries almost everything. A row of journal is an attempt's bound answer, or a sale, release or change of the
// allotment; the same row is the ledger line, the idempotency key, the claim and the outgoing message, because one row per win
// is what a disk pays for. Its only index is its own growing number. What must be looked up otherwise (keys, allowances, due
// times) lives in memory, is rebuilt from the journal at the start, and is checked against the stock rows before the driver
// says that it is open. DESIGN.md beside this file says why.
//
// One process owns the file: an epoch in the database is raised at the start and asserted in every transaction. All methods
// are safe for concurrent use; writes run one at a time.
package sqlitestock
