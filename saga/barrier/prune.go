package barrier

import (
	"context"
	"time"

	"penstock/engine/sqldb"
)

// pruneBatch is how many rows one look finds and one commit removes.
const pruneBatch = 100

// row is a branch that has ended.
type row struct {
	tx, branch string
	at         int64
}

// Prune removes up to most rows of branches that ended, or were never tried, before a time, oldest first, and returns how many.
// Rows of branches that were tried and not ended stay however old they are, and so do those of transactions of which ours says that
// somebody here may still call. Nobody may call about the others any more: see [Table.Forget]. A repeat does no harm, nor do two at a time.
func (t Table) Prune(ctx context.Context, db sqldb.Store, before time.Time, most int, ours func(ctx context.Context, transaction string) (bool, error)) (removed int, err error) {
	for after, full := (row{}), true; full && removed < most; {
		page, err := t.ended(ctx, db, before, after)
		if err != nil || len(page) == 0 {
			return removed, err
		}
		after, full = page[len(page)-1], len(page) == pruneBatch
		known, gone := map[string]bool{}, page[:0]
		for _, r := range page {
			stays, asked := known[r.tx]
			if !asked {
				if stays, err = ours(ctx, r.tx); err != nil {
					return removed, err
				}
				known[r.tx] = stays
			}
			if !stays {
				gone = append(gone, r)
			}
		}
		if err = t.remove(ctx, db, gone); err != nil {
			return removed, err
		}
		removed += len(gone)
	}
	return removed, nil
}

// ended returns the next page behind a row, in order of age.
func (t Table) ended(ctx context.Context, db sqldb.Store, before time.Time, after row) (page []row, err error) {
	rows, err := db.Query(ctx, `SELECT tx, branch, at FROM `+string(t)+` WHERE at<? AND at>=? AND (at>? OR tx>? OR tx=? AND branch>?) AND state<>?
		ORDER BY at, tx, branch LIMIT ?`, before.UnixMilli(), after.at, after.at, after.tx, after.tx, after.branch, tried, pruneBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err = rows.Scan(&r.tx, &r.branch, &r.at); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

func (t Table) remove(ctx context.Context, db sqldb.Store, gone []row) error {
	if len(gone) == 0 {
		return nil
	}
	return db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, r := range gone {
			if _, err := tx.Exec(`DELETE FROM `+string(t)+` WHERE tx=? AND branch=? AND at=?`, r.tx, r.branch, r.at); err != nil {
				return err
			}
		}
		return nil
	})
}
