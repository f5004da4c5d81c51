package mysqlstock

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/engine/mysql"
	"penstock/stock/driver"
)

// Recount sets the allowance of a user to what his claims of the SKU that are held or sold add up to, and returns what it was and
// what it is. It is safe while others decide: it locks the row before it reads the claims, every decision that makes or ends a claim
// adds to the row in the transaction of the claim, and one that was made by what the row said before asserts that when it is written.
func (d *DB) Recount(ctx context.Context, ref driver.TakenRef) (was, is int64, err error) {
	done, err := d.reading(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer done()
	err = mysql.Tx(ctx, d.db, func(tx *sql.Tx) error {
		was, is = 0, 0
		key := []any{[]byte(ref.Sale), []byte(ref.SKU), []byte(ref.User)}
		if _, err := tx.ExecContext(ctx, "INSERT INTO allowance (sale, sku, user, taken) VALUES (?, ?, ?, 0) ON DUPLICATE KEY UPDATE taken = taken", key...); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT taken FROM allowance WHERE sale = ? AND sku = ? AND user = ? FOR UPDATE", key...).Scan(&was); err != nil {
			return err
		}
		var t text
		t.raw(attempts + "a.reason = '' AND a.user = ").bytes(ref.User).raw(" AND a.sale = ").bytes(ref.Sale)
		err := query(ctx, tx, string(t.b), func(rows *sql.Rows) error {
			a, err := scanAttempt(rows)
			if err != nil || a.State != driver.Held && a.State != driver.Sold {
				return err
			}
			for _, l := range a.Lines {
				if l.SKU == ref.SKU {
					is += l.Quantity
				}
			}
			return nil
		})
		if err != nil || is == was {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE allowance SET taken = ? WHERE sale = ? AND sku = ? AND user = ?", append([]any{is}, key...)...)
		return err
	})
	if err != nil {
		return was, is, fmt.Errorf("count the allowance anew: %w", err)
	}
	return was, is, nil
}
