package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/order/shard"
)

// ErrDiffers says that a copy of a store is not what it was copied from.
var ErrDiffers = errors.New("the copy differs")

// Progress is how far an import is.
type Progress struct {
	Databases     int   // databases of the source that are done
	Orders, Total int64 // orders copied, and how many there are
}

// Sum is what a store has: how many orders and events, and a checksum over all of their fields that does not depend on where they
// are kept.
type Sum struct {
	Orders, Events int64
	Checksum       uint64
}

// importPage is how many orders one transaction of an import writes.
const importPage = 200

// Import copies all orders with their events from one store to another, which may have another placement, and returns what both
// have. It may be broken off and repeated: an order that is there already is left as it is. Nobody may write either store
// meanwhile. In the end it reads both again: [ErrDiffers] (wrapped) when they have not the same orders and events in every field.
// progress, which may be nil, is called after each page.
func Import(ctx context.Context, to, from store.Store, progress func(Progress)) (Sum, error) {
	var p Progress
	for db := range from.Map().Databases() {
		count, err := from.Database(db).Count(ctx)
		if err != nil {
			return Sum{}, err
		}
		for _, n := range count {
			p.Total += n
		}
	}
	for db := range from.Map().Databases() {
		err := walk(ctx, from.Database(db), importPage, func(_ int, orders []Order) error {
			p.Orders += int64(len(orders))
			if err := put(ctx, to, orders); err != nil {
				return err
			}
			if progress != nil {
				progress(p)
			}
			return nil
		})
		if err != nil {
			return Sum{}, fmt.Errorf("import of order database %d: %w", db, err)
		}
		p.Databases++
	}
	if progress != nil {
		progress(p)
	}
	return same(ctx, to, from)
}

// put writes orders where the placement of the store wants them.
func put(ctx context.Context, to store.Store, orders []Order) error {
	byDB := map[int][]Order{}
	for _, o := range orders {
		o.Shard, o.Table = to.Map().Route(o.ID.Slot())
		byDB[o.Shard] = append(byDB[o.Shard], o)
	}
	for db, some := range byDB {
		if err := to.Database(db).Put(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// same reads both stores and compares.
func same(ctx context.Context, to, from store.Store) (Sum, error) {
	var sums [2]Sum
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range []store.Store{from, to} {
		g.Go(func() (err error) {
			sums[i], err = Summarise(gctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Sum{}, err
	}
	if sums[0] != sums[1] {
		return sums[1], fmt.Errorf("%w: %+v was copied, the copy has %+v", ErrDiffers, sums[0], sums[1])
	}
	return sums[0], nil
}

// Summarise reads all orders with their events and adds them up.
func Summarise(ctx context.Context, s store.Store) (sum Sum, err error) {
	for db := range s.Map().Databases() {
		if err = walk(ctx, s.Database(db), exportPage, func(_ int, orders []Order) error {
			for _, o := range orders {
				o.Shard, o.Table = 0, 0
				form, err := json.Marshal(o)
				if err != nil {
					return err
				}
				sum.Orders++
				sum.Events += int64(len(o.Events))
				sum.Checksum += xxhash.Sum64(form)
			}
			return nil
		}); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// walk calls f with the orders of every table of a database, with their events, page by page.
func walk(ctx context.Context, db store.Reader, size int, f func(table int, orders []Order) error) error {
	last, err := db.Last(ctx)
	if err != nil {
		return err
	}
	for table := range shard.Tables {
		p := store.Page{Table: table, Last: last.Orders[table], Limit: size, Events: true}
		for n := size; n == size; {
			orders, err := db.Page(ctx, p)
			if err != nil {
				return err
			}
			if n = len(orders); n == 0 {
				break
			}
			if err = f(table, orders); err != nil {
				return err
			}
			p.After = orders[n-1].ID
		}
	}
	return nil
}

// Misplaced is an order that is not where its id routes to, or that is in more than one place.
type Misplaced struct {
	ID        ident.ID
	DB, Table int // where it was found
	WantDB    int
	WantTable int
}

// Verify looks at every order of a store and calls misplaced for each that is not in the one table of the one database that its
// id and its user route to. An order that is twice in the store is in at least one wrong place. It returns how many it looked at.
func Verify(ctx context.Context, s store.Store, misplaced func(Misplaced)) (looked int64, err error) {
	for db := range s.Map().Databases() {
		if err = walk(ctx, s.Database(db), exportPage, func(table int, orders []Order) error {
			for i := range orders {
				o := &orders[i]
				looked++
				wantDB, wantTable := s.Map().Route(o.ID.Slot())
				if wantDB != db || wantTable != table || ident.SlotOf(o.User) != o.ID.Slot() {
					misplaced(Misplaced{o.ID, db, table, wantDB, wantTable})
				}
			}
			return nil
		}); err != nil {
			return looked, err
		}
	}
	return looked, nil
}
