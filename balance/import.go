package balance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"penstock/engine/sqldb"
)

// importPage is how many rows are copied in one transaction.
const importPage = 200

// table is a name with its columns, of which the first are the key.
type table struct {
	name, columns string
	key           int
}

// tables are what a store holds.
func tables() []table {
	return []table{
		{"balance_books", "slot, last_n", 1},
		{"balance_accounts", "slot, owner, account, currency, balance, credit, at", 4},
		{"balance_transactions", txColumns, 2},
		{"balance_entries", "slot, pos, n, account, owner, currency, amount, balance", 2},
		{"balance_refusals", "once, why, at", 1},
		{string(barrierTable), "tx, branch, state", 2},
	}
}

// Import copies everything that one store holds to another, which holds nothing else, and reads both afterwards: it fails unless
// they hold the same. Broken off, it may be repeated. Nobody may write to either meanwhile. copied is told of each table.
func Import(ctx context.Context, from, to Store, copied func(table string, rows uint64)) error {
	for _, t := range tables() {
		want, n, err := t.copy(ctx, from, to)
		if err != nil {
			return fmt.Errorf("import %s: %w", t.name, err)
		}
		got, err := t.read(ctx, to, func([]any) error { return nil })
		if err != nil {
			return fmt.Errorf("verify %s: %w", t.name, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("verify %s: the target holds something else than the source", t.name)
		}
		copied(t.name, n)
	}
	return nil
}

func (t table) copy(ctx context.Context, from, to Store) (digest []byte, n uint64, err error) {
	insert := `INSERT INTO ` + t.name + ` (` + t.columns + `) VALUES (?` + strings.Repeat(",?", strings.Count(t.columns, ",")) + `)`
	var page [][]any
	flush := func() error {
		defer func() { page = nil }()
		return to.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
			for _, row := range page {
				if _, err := tx.Insert(insert, row...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	digest, err = t.read(ctx, from, func(row []any) error {
		n++
		if page = append(page, row); len(page) < importPage {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return digest, n, err
}

// read calls f for each row and returns a digest of all.
func (t table) read(ctx context.Context, s Store, f func([]any) error) ([]byte, error) {
	columns := strings.Split(t.columns, ",")
	rows, err := s.Query(ctx, `SELECT `+t.columns+` FROM `+t.name+` ORDER BY `+strings.Join(columns[:t.key], ","))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	digest := sha256.New()
	for rows.Next() {
		row, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		for i, v := range row {
			if raw, ok := v.([]byte); ok {
				row[i] = string(raw)
			}
			fmt.Fprintf(digest, "%q,", fmt.Sprint(row[i]))
		}
		if err := f(row); err != nil {
			return nil, err
		}
	}
	return digest.Sum(nil), rows.Err()
}
