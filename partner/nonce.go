package partner

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"penstock/engine/sqldb"
)

// nonces remembers nonces in the store of the apps: a row each, durable before the call goes on. There are as many as calls were
// signed in the last eleven minutes.
type nonces struct{ db Store }

// nonceID is the same for the same nonce of the same key, and of one size.
func nonceID(key, nonce string) [32]byte { return sha256.Sum256([]byte(key + "\x00" + nonce)) }

// Once implements Replay.
func (n nonces) Once(ctx context.Context, id [32]byte, until time.Time) (first bool, err error) {
	err = n.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		first, err = tx.Insert(`INSERT INTO partner_nonces (id, until) VALUES (?, ?)`, id[:], until.UnixMilli())
		return err
	})
	return first, err
}

// pruned is about how many rows one transaction removes.
const pruned = 2000

// prune removes what is past, in pieces.
func (n nonces) prune(ctx context.Context, now time.Time) error {
	for {
		end, more := now.UnixMilli(), true
		var at int64
		err := n.db.Scan(ctx, `SELECT until FROM partner_nonces WHERE until<? ORDER BY until LIMIT 1 OFFSET ?`, []any{end, pruned}, &at)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			more = false
		case err != nil:
			return err
		default:
			end = at + 1
		}
		err = n.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`DELETE FROM partner_nonces WHERE until<?`, end)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}
