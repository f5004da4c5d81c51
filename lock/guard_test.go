package lock_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/engine/mysql"
	"penstock/lock"
)

// A resource takes equal and greater tokens and refuses an older one; a refused or rolled back transaction leaves no trace.
func TestGuardRefusesOlderTokens(t *testing.T) {
	t.Parallel()
	for kind, open := range databases() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			write := func(token int64, also error) error {
				return db.tx(t.Context(), func(tx *sql.Tx) error {
					return errors.Join(lock.Guard(t.Context(), tx, "ledger", token), also)
				})
			}
			for i, c := range []struct {
				token int64
				also  error
				stale bool
			}{{5, nil, false}, {5, nil, false}, {4, nil, true}, {9, errBroken, false}, {6, nil, false}, {5, nil, true}, {7, nil, false}} {
				if err := write(c.token, c.also); errors.Is(err, lock.ErrStale) != c.stale || (err != nil && !c.stale && c.also == nil) {
					t.Errorf("write %d with token %d: %v, want stale %v", i, c.token, err, c.stale)
				}
			}
			var token int64
			check(t, db.query(`SELECT token FROM guard WHERE resource = 'ledger'`).Scan(&token))
			if token != 7 {
				t.Errorf("the token seen is %d, want 7", token)
			}
		})
	}
}

// Many writers with tokens in any order, the first ones racing to make the row: the tokens of the committed writes never fall.
func TestGuardUnderContention(t *testing.T) {
	t.Parallel()
	for kind, open := range databases() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			var last, passed atomic.Int64
			var all sync.WaitGroup
			for w := range 6 {
				all.Go(func() {
					for n := range 15 {
						token := int64((n*7+w*3)%40 + n)
						var err error
						for first := true; first || mysql.Retry(err); first = false {
							err = db.tx(t.Context(), func(tx *sql.Tx) error {
								if err := lock.Guard(t.Context(), tx, "racing", token); err != nil {
									return err
								}
								if before := last.Swap(token); before > token { // the row is locked here
									t.Errorf("token %d passed after %d", token, before)
								}
								passed.Add(1)
								return nil
							})
						}
						if err != nil && !errors.Is(err, lock.ErrStale) {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if passed.Load() == 0 {
				t.Error("nothing passed")
			}
		})
	}
}

// guarded writes the holder's token into the guard in one transaction.
func guarded(ctx context.Context, db database, g *lock.Grant) error {
	return db.tx(ctx, func(tx *sql.Tx) error { return lock.Guard(ctx, tx, g.Name(), g.Token()) })
}
