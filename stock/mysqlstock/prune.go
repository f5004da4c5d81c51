package mysqlstock

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// boundLate is how long after the end of a sale noes may be bound that are still removed.
const boundLate = 24 * time.Hour

// Prune removes allowances first, then noes by the time in their ids: no index leads from a sale to its attempts, and none is worth its
// price at each attempt. What it removes no decision writes any more, since the sale is closed.
func (d *DB) Prune(ctx context.Context, sale string, from uint64, most int) (out driver.Pruned, err error) {
	done, err := d.reading(ctx)
	if err != nil {
		return out, err
	}
	defer done()
	doc, err := d.closedSale(ctx, sale)
	if err == nil && from <= 1 {
		if out.Allowances, err = d.pruneAllowances(ctx, sale, most); err == nil && out.Allowances == most {
			out.Next = 1
			return out, nil
		}
		from = uint64(ident.First(doc.Created.Add(-time.Minute)))
	}
	if err == nil {
		err = d.pruneNoes(ctx, doc, from, most, &out)
	}
	if err != nil && !errors.Is(err, driver.ErrKept) {
		err = readError("prune a sale", err)
	}
	return out, err
}

func (d *DB) closedSale(ctx context.Context, id string) (*driver.Sale, error) {
	var text []byte
	err := d.db.QueryRowContext(ctx, "SELECT doc FROM sale WHERE id = ?", []byte(id)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: there is no sale %q", driver.ErrKept, id)
	}
	var doc driver.Sale
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err == nil && doc.ClosedAt.IsZero() {
		err = fmt.Errorf("%w: %q", driver.ErrKept, id)
	}
	return &doc, err
}

func (d *DB) pruneAllowances(ctx context.Context, sale string, most int) (int, error) {
	res, err := d.db.ExecContext(ctx, "DELETE FROM allowance WHERE sale = ? LIMIT ?", []byte(sale), most)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

func (d *DB) pruneNoes(ctx context.Context, doc *driver.Sale, from uint64, most int, out *driver.Pruned) error {
	upto := ident.First(doc.ClosedAt.Add(boundLate))
	rows, err := d.db.QueryContext(ctx, "SELECT id, reason FROM attempt WHERE id > ? AND id < ? AND sale = ? ORDER BY id LIMIT ?", int64(from), int64(upto), []byte(doc.ID), most)
	if err != nil {
		return err
	}
	defer rows.Close()
	var noes []int64
	seen, last := 0, int64(0)
	for rows.Next() {
		var reason string
		if err := rows.Scan(&last, &reason); err != nil {
			return err
		}
		if seen++; reason != "" {
			noes = append(noes, last)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if len(noes) > 0 {
		if err := d.dropNoes(ctx, noes); err != nil {
			return err
		}
	}
	if out.Noes = len(noes); seen == most {
		out.Next = uint64(last)
	}
	return nil
}

func (d *DB) dropNoes(ctx context.Context, ids []int64) error {
	return mysql.Tx(ctx, d.db, func(tx *sql.Tx) error {
		for _, of := range [][2]string{{"DELETE FROM attempt WHERE id IN (", ") AND reason <> ''"}, {"DELETE FROM journal WHERE kind = 2 AND ref IN (", ")"}} {
			all := list{len(ids), of[0], of[1], func(t *text, i int) { t.num(ids[i]) }}
			if _, err := all.exec(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}
