package saga

import (
	"context"

	"penstock/engine/sqldb"
)

// Import copies the transactions of one store to another, which is empty, with those that have not ended: they go on there. It
// compares them; see [sqldb.Copy].
func Import(ctx context.Context, from, to Store, copied func(table string, rows uint64)) error {
	return sqldb.Copy(ctx, from, to, []sqldb.Table{
		{Name: "transactions", Columns: "seq, id, body, kind, state, version, began, next_at, doc", Key: 1},
		{Name: "transaction_steps", Columns: "tx, n, at, what, branch, who, detail", Key: 2},
	}, copied)
}
