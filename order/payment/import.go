package payment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"penstock/engine/sqldb"
)

// importPage is how many rows are copied in one transaction.
const importPage = 200

// Imported is what a table held before and holds after an [Import]. Sums are of the columns that add up, by name: money in
// minor units, and "seq".
type Imported struct {
	Table string
	Rows  int64
	Sums  map[string]int64
	hash  []byte
}

func (i Imported) String() string {
	return fmt.Sprintf("%s: %d rows, sums %v", i.Table, i.Rows, i.Sums)
}

// table is what Import knows of a table: its columns in order, the first being the key that it is read by.
type table struct {
	name    string
	columns []column
}

// column is a name with its kind: "int", "text", "bytes" or "time" (an int that may be NULL). Columns that sum are verified by
// their sum as well.
type column struct {
	name, kind string
	sum        bool
}

// tables lists everything that a store holds. The order of the columns is that of payColumns and refundColumns.
func tables() []table {
	return []table{
		{"payments", columns(payColumns, "amount captured refunded", "user `key` provider ref state currency outcome trace")},
		{"refunds", columns(refundColumns+`, at, next_at`, "amount seq", "user `key` why who state trace")},
		{"callbacks", columns(`seq, provider, id, at`, "seq", "provider id")},
		{"cases", columns(`seq, payment, kind, ref, amount, currency, detail, at`, "seq amount", "kind ref currency detail")},
		{"late_money", columns(`payment, claim`, "", "")},
		{"closings", columns(`seq, action, who, reason, at`, "seq", "action who reason")},
		{"refund_details", columns(`refund, aside, ref, currency`, "", "ref currency")},
		{"money", columns(`seq, provider, kind, ref, payment, amount, currency, at`, "seq amount", "provider kind ref currency")},
	}
}

func columns(list, sums, texts string) (all []column) {
	for name := range strings.SplitSeq(list, ",") {
		c := column{name: strings.TrimSpace(name), kind: "int"}
		switch {
		case slices.Contains(strings.Fields(texts), c.name):
			c.kind = "text"
		case c.name == "body":
			c.kind = "bytes"
		case c.name == "next_at":
			c.kind = "time"
		}
		c.sum = slices.Contains(strings.Fields(sums), c.name)
		all = append(all, c)
	}
	return all
}

func (t table) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// Import copies every payment, refund, callback and case from one store to another, which must be empty, and reads both
// afterwards: it fails unless they hold the same rows, byte for byte. Ids and sequences are kept. Nobody may write to either
// meanwhile. After an error the target is to be emptied before the next try; the source is only read.
func Import(ctx context.Context, from, to Store) ([]Imported, error) {
	for _, t := range tables() {
		got, err := t.read(ctx, to, func([]any) error { return errors.New("the target is not empty; use an empty database") })
		if err != nil || got.Rows != 0 {
			return nil, fmt.Errorf("import %s: %w", t.name, err)
		}
	}
	var all []Imported
	for _, t := range tables() {
		want, err := t.copy(ctx, from, to)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", t.name, err)
		}
		got, err := t.read(ctx, to, func([]any) error { return nil })
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", t.name, err)
		}
		if !bytes.Equal(got.hash, want.hash) {
			return nil, fmt.Errorf("verify %s: the source holds %v, the target %v", t.name, want, got)
		}
		all = append(all, want)
	}
	return all, nil
}

func (t table) copy(ctx context.Context, from, to Store) (Imported, error) {
	page := make([]any, 0, importPage*len(t.columns))
	flush := func() error {
		rows := len(page) / len(t.columns)
		if rows == 0 {
			return nil
		}
		one := "(" + strings.TrimSuffix(strings.Repeat("?,", len(t.columns)), ",") + ")"
		insert := `INSERT INTO ` + t.name + ` (` + t.names() + `) VALUES ` + strings.TrimSuffix(strings.Repeat(one+",", rows), ",")
		err := to.Do(ctx, sqldb.NoLock, func(tx Tx) error {
			_, err := tx.Exec(insert, page...)
			return err
		})
		page = page[:0]
		return err
	}
	got, err := t.read(ctx, from, func(values []any) error {
		if page = append(page, values...); len(page) < cap(page) {
			return nil
		}
		return flush()
	})
	if err != nil {
		return got, err
	}
	return got, flush()
}

// read hands every row to f, ordered by key, and adds it up. It reads in pages and holds no transaction meanwhile.
func (t table) read(ctx context.Context, s Store, f func(values []any) error) (Imported, error) {
	sum := sha256.New()
	all := Imported{Table: t.name, Sums: map[string]int64{}}
	for after := int64(0); ; {
		key := t.columns[0].name
		rows, err := s.Query(ctx, `SELECT `+t.names()+` FROM `+t.name+` WHERE `+key+`>? ORDER BY `+key+` LIMIT ?`, after, importPage)
		page, err := collect(rows, err, t.scan)
		if err != nil {
			return all, err
		}
		for _, values := range page {
			after, _ = values[0].(int64)
			if err := t.count(&all, sum, values); err != nil {
				return all, err
			}
			if err := f(values); err != nil {
				return all, err
			}
		}
		if len(page) < importPage {
			all.hash = sum.Sum(nil)
			return all, nil
		}
	}
}

// scan reads a row as values that either engine takes back.
func (t table) scan(s scanner) ([]any, error) {
	dest := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case "text":
			dest[i] = new(string)
		case "bytes":
			dest[i] = new([]byte)
		default:
			dest[i] = new(sql.NullInt64)
		}
	}
	if err := s.Scan(dest...); err != nil {
		return nil, err
	}
	for i, d := range dest {
		switch d := d.(type) {
		case *string:
			dest[i] = *d
		case *[]byte:
			dest[i] = append([]byte{}, *d...)
		case *sql.NullInt64:
			if dest[i] = nil; d.Valid {
				dest[i] = d.Int64
			}
		}
	}
	return dest, nil
}

func (t table) count(all *Imported, sum hash.Hash, values []any) error {
	all.Rows++
	for i, c := range t.columns {
		if values[i] == nil && c.kind != "time" {
			return fmt.Errorf("row %v has no %s", values[0], c.name)
		}
		if n, ok := values[i].(int64); ok && c.sum {
			all.Sums[c.name] += n
		}
		fmt.Fprintf(sum, "%T %v;", values[i], values[i])
	}
	return nil
}
