package sqldb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// copyPage is how many rows are copied in one transaction.
const copyPage = 200

// Table is what [Copy] knows of a table: its columns with commas between them, of which the first Key are the primary key.
type Table struct {
	Name, Columns string
	Key           int
}

// Copy copies tables from one store to another, where they hold nothing else, and reads both afterwards: it fails unless they
// hold the same. Broken off, it may be repeated. Nobody may write to either meanwhile. copied is told of each table.
func Copy(ctx context.Context, from, to Store, tables []Table, copied func(table string, rows uint64)) error {
	for _, t := range tables {
		want, n, err := t.copy(ctx, from, to)
		if err != nil {
			return fmt.Errorf("copy %s: %w", t.Name, err)
		}
		got, err := t.read(ctx, to, func([]any) error { return nil })
		if err != nil {
			return fmt.Errorf("verify %s: %w", t.Name, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("verify %s: the target holds something else than the source", t.Name)
		}
		copied(t.Name, n)
	}
	return nil
}

func (t Table) copy(ctx context.Context, from, to Store) (digest []byte, n uint64, err error) {
	insert := `INSERT INTO ` + t.Name + ` (` + t.Columns + `) VALUES (?` + strings.Repeat(",?", strings.Count(t.Columns, ",")) + `)`
	var page [][]any
	flush := func() error {
		defer func() { page = nil }()
		return to.Do(ctx, NoLock, func(tx Tx) error {
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
		if page = append(page, row); len(page) < copyPage {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return digest, n, err
}

// read calls f for each row in order of the key and returns a digest of all.
func (t Table) read(ctx context.Context, s Store, f func([]any) error) ([]byte, error) {
	columns := strings.Split(t.Columns, ",")
	rows, err := s.Query(ctx, `SELECT `+t.Columns+` FROM `+t.Name+` ORDER BY `+strings.Join(columns[:t.Key], ","))
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
