package order

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/shard"
)

// Limits of a page.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// List returns a page of a user's orders, newest first, and the cursor of the next page ("" at the end). A user's list has the
// orders whose rows are not written yet; an operator's list (user "") has all written orders of all users, merged over the
// shards. cursor "" starts; one that List did not make is errs.Invalid. limit 0 means 50; 500 is the most.
func (o *Orders) List(ctx context.Context, user, cursor string, limit int) ([]Order, string, error) {
	before, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	var page []Order
	if user == "" {
		page, err = o.listAll(ctx, before, limit+1)
	} else {
		page, err = o.listOwn(ctx, user, before, limit+1)
	}
	if err != nil {
		return nil, "", err
	}
	if len(page) <= limit {
		return page, "", nil
	}
	page = page[:limit]
	return page, cursorAt(page[limit-1].ID), nil
}

// listOwn reads what is not sent yet before it reads the rows: an order that leaves the one has reached the other.
func (o *Orders) listOwn(ctx context.Context, user string, before ident.ID, limit int) ([]Order, error) {
	unsent, err := o.claims.Unsent(ctx, user)
	if err != nil {
		return nil, err
	}
	db, table := o.store.Map().Route(ident.SlotOf(user))
	var page []Order
	err = o.view(ctx, db, func(tx *sql.Tx) error {
		var err error
		q := "SELECT " + columns + " FROM " + shard.TableName(db, table) + " WHERE user = ? AND id < ? ORDER BY id DESC LIMIT ?"
		if page, err = scanOrders(ctx, tx, q, user, int64(before), limit); err != nil || len(page) == 0 {
			return err
		}
		return addEvents(ctx, tx, page)
	})
	if err != nil {
		return nil, err
	}
	written := make(map[ident.ID]bool, len(page))
	for i := range page {
		page[i].Shard, page[i].Table = db, table
		written[page[i].ID] = true
	}
	oldest := ident.ID(0)
	if len(page) == limit {
		oldest = page[limit-1].ID
	}
	for _, a := range unsent {
		if written[a.ID] || a.ID >= before || a.ID < oldest || !a.Won() || a.Key.User != user {
			continue
		}
		ord, err := o.fromClaim(ctx, a)
		if err != nil {
			return nil, err
		}
		page = append(page, ord)
	}
	return newest(page, limit), nil
}

func (o *Orders) listAll(ctx context.Context, before ident.ID, limit int) ([]Order, error) {
	pages := make([][]Order, o.store.Len())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(o.opt.Parallel)
	for db := range pages {
		g.Go(func() error {
			return o.view(gctx, db, func(tx *sql.Tx) error {
				page, err := scanOrders(gctx, tx, newestOf(db), int64(before), limit)
				pages[db] = page
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	page := newest(slices.Concat(pages...), limit)
	byDB := make([][]int, o.store.Len())
	for i := range page {
		db, table := o.store.Route(page[i].ID)
		page[i].Shard, page[i].Table = db, table
		byDB[db] = append(byDB[db], i)
	}
	for db, at := range byDB {
		if len(at) == 0 {
			continue
		}
		some := make([]Order, len(at))
		for i, n := range at {
			some[i] = page[n]
		}
		if err := o.view(ctx, db, func(tx *sql.Tx) error { return addEvents(ctx, tx, some) }); err != nil {
			return nil, err
		}
		for i, n := range at {
			page[n].Events = some[i].Events
		}
	}
	return page, nil
}

// newestOf is the query for the newest orders of all tables of a database before an id, up to a limit.
func newestOf(db int) string {
	var b strings.Builder
	for t := range shard.Tables {
		if t > 0 {
			b.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&b, "SELECT * FROM (SELECT %s FROM %s WHERE id < ?1 ORDER BY id DESC LIMIT ?2)", columns, shard.TableName(db, t))
	}
	b.WriteString(" ORDER BY id DESC LIMIT ?2")
	return b.String()
}

func newest(orders []Order, limit int) []Order {
	slices.SortFunc(orders, func(a, b Order) int { return cmp.Compare(b.ID, a.ID) })
	return orders[:min(len(orders), limit)]
}

// A cursor is the id of the last order seen behind a version byte; whose order it was gives nobody anything.
const cursorVersion = 1

func cursorAt(id ident.ID) string {
	b := binary.BigEndian.AppendUint64([]byte{cursorVersion}, uint64(id))
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (ident.ID, error) {
	if s == "" {
		return math.MaxInt64, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(s) != 12 || len(b) != 9 || b[0] != cursorVersion || binary.BigEndian.Uint64(b[1:])-1 >= math.MaxInt64 {
		return 0, errs.New(errs.Invalid, "the cursor is not one that a list returned; start again without it")
	}
	return ident.ID(binary.BigEndian.Uint64(b[1:])), nil
}
