package outbox

import (
	"context"
	"database/sql"
	"strconv"

	"penstock/engine/sqldb"
)

// querier is the database, or a transaction of it.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type inTx struct{ tx sqldb.Tx }

func (t inTx) Query(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.Query(query, args...)
}

// ids reads a column of numbers, as the text that a list of them in a statement is made of.
func (s *Source) ids(ctx context.Context, from querier, query string, args ...any) ([]string, error) {
	rows, err := from.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	return ids, rows.Err()
}
