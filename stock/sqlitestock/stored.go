package sqlitestock

import (
	"context"
	"database/sql"

	"penstock/stock/driver"
)

// Stored is [Driver.Snapshot] with the figures that the file has where they contradict the memory: a row of the version that
// is in memory, or of an older one, and with other figures was not written by this process. It costs a look into the file.
func (d *Driver) Stored(ctx context.Context) (*driver.Snapshot, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	rows := map[driver.StockRef]driver.Stock{}
	if err := d.stored(ctx, d.db.R, rows); err != nil {
		return nil, d.readError("stock rows", err)
	}
	snap, err := d.Snapshot(ctx) // after the rows: memory follows the file, so that a newer row here is none that was overtaken
	if err != nil {
		return nil, err
	}
	again := map[driver.StockRef]driver.Stock{}
	if err := d.stored(ctx, d.db.R, again); err != nil {
		return nil, d.readError("stock rows", err)
	}
	for i := range snap.Stock {
		known := &snap.Stock[i]
		ref := driver.StockRef{Sale: known.Sale, SKU: known.SKU}
		// Twice the same, before and after the memory was read: no decision of ours was under way to it.
		if row := again[ref]; row == rows[ref] && row.Version <= known.Version && row != *known {
			row.Sale, row.SKU = ref.Sale, ref.SKU // also where the row is gone
			*known = row
		}
	}
	return snap, nil
}

func (d *Driver) stored(ctx context.Context, db *sql.DB, into map[driver.StockRef]driver.Stock) error {
	rows, err := db.QueryContext(ctx, `SELECT s.id, k.sku, k.offered, k.available, k.held, k.sold, k.withdrawn, k.version, k.waiting
		FROM stock k JOIN sale s ON s.n = k.sale`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l driver.Stock
		if err := rows.Scan(&l.Sale, &l.SKU, &l.Offered, &l.Available, &l.Held, &l.Sold, &l.Withdrawn, &l.Version, &l.Waiting); err != nil {
			return err
		}
		into[driver.StockRef{Sale: l.Sale, SKU: l.SKU}] = l
	}
	return rows.Err()
}
