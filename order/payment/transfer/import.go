package transfer

import (
	"context"

	"penstock/engine/sqldb"
)

// Import copies the lines of one store to another, which is empty, and compares them; see [sqldb.Copy].
func Import(ctx context.Context, from, to sqldb.Store, copied func(table string, rows uint64)) error {
	return sqldb.Copy(ctx, from, to, []sqldb.Table{
		{Name: "bank_lines", Columns: "seq, type, ref, payment, refund, amount, currency, at", Key: 1},
	}, copied)
}
