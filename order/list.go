package order

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"penstock/errs"
	"penstock/internal/ident"
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
	page, err := o.query(ctx, readKey{byOwner, db, table}, user, int64(before), limit)
	if err != nil {
		return nil, err
	}
	written := make(map[ident.ID]bool, len(page))
	for i := range page {
		written[page[i].ID] = true
	}
	for _, a := range unsent {
		if written[a.ID] || a.ID >= before || !a.Won() || a.Key.User != user {
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

// listAll finds the newest ids in the events, which are by order in one table of each database, and reads only the rows that
// come onto the page.
func (o *Orders) listAll(ctx context.Context, before ident.ID, limit int) ([]Order, error) {
	found := make([][]ident.ID, o.store.Len())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(o.opt.Parallel)
	for db := range found {
		g.Go(func() (err error) {
			found[db], err = o.newestIDs(gctx, db, before, limit)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	ids := slices.Concat(found...)
	slices.SortFunc(ids, func(a, b ident.ID) int { return cmp.Compare(b, a) })
	page := make([]Order, 0, min(limit, len(ids)))
	for _, id := range ids[:min(limit, len(ids))] {
		ord, err := o.read(ctx, id)
		if err != nil {
			return nil, err
		}
		page = append(page, ord)
	}
	return page, nil
}

func (o *Orders) newestIDs(ctx context.Context, db int, before ident.ID, limit int) (ids []ident.ID, err error) {
	st, err := o.prepared(ctx, readKey{byAge, db, 0})
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, int64(before), limit)
	if err != nil {
		return nil, fmt.Errorf("read order database %d: %w", db, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id ident.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
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
