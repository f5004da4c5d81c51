package lock_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"penstock/engine/sqlite"
	"penstock/lock"
	"penstock/lock/memorylock"
)

// A holder that slept while another took its place is refused by the guard.
func ExampleGuard() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "lock")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(ctx, filepath.Join(dir, "stock.db"), []string{lock.SQLiteGuard}, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	fence, err := lock.SQLiteFence(ctx, db)
	if err != nil {
		panic(err)
	}
	store := memorylock.New(nil)
	locks, err := lock.New(store, fence, lock.Options{})
	if err != nil {
		panic(err)
	}
	defer locks.Stop(ctx)

	write := func(g *lock.Grant) error {
		return db.Tx(ctx, func(tx *sql.Tx) error { return lock.Guard(ctx, tx, g.Name(), g.Token()) })
	}
	sleeper, _ := locks.Acquire(ctx, "relay:stock")
	store.Flush() // the store forgets the lock
	second, _ := locks.Acquire(ctx, "relay:stock")

	fmt.Println("token", second.Token(), "after", sleeper.Token())
	fmt.Println("second:", write(second))
	fmt.Println("sleeper refused:", errors.Is(write(sleeper), lock.ErrStale))
	// Output:
	// token 2 after 1
	// second: <nil>
	// sleeper refused: true
}
