package balance

import (
	"context"

	"penstock/engine/sqldb"
)

// tables are what a store holds.
func tables() []sqldb.Table {
	return []sqldb.Table{
		{Name: "balance_books", Columns: "slot, last_n", Key: 1},
		{Name: "balance_accounts", Columns: "slot, owner, account, currency, balance, credit, at", Key: 4},
		{Name: "balance_transactions", Columns: txColumns, Key: 2},
		{Name: "balance_entries", Columns: "slot, pos, n, account, owner, currency, amount, balance", Key: 2},
		{Name: "balance_refusals", Columns: "once, why, at", Key: 1},
		{Name: string(barrierTable), Columns: "tx, branch, state, at", Key: 2},
	}
}

// Import copies everything that one store holds to another; see [sqldb.Copy].
func Import(ctx context.Context, from, to Store, copied func(table string, rows uint64)) error {
	return sqldb.Copy(ctx, from, to, tables(), copied)
}
