package order

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"penstock/errs"
	"penstock/internal/ident"
	store "penstock/order/driver"
)

// Limits of a page.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// List returns a page of a user's orders, newest first, and the cursor of the next page ("" at the end). A user's list has the
// orders whose rows are not written yet; an operator's list (user "") has all written orders of all users, merged over the
// shards. cursor "" starts; one that List did not make is errs.Invalid. limit 0 means 50; 500 is the most.
//
// When databases do not answer, an operator's list returns what the others have, with a cursor, and a [*Missing] that names
// them beside it: a page is never shorter without a word.
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
	if missing := (*Missing)(nil); err != nil && !errors.As(err, &missing) {
		return nil, "", err
	}
	if len(page) <= limit {
		return page, "", err
	}
	page = page[:limit]
	return page, cursorAt(page[limit-1].ID), err
}

// listOwn reads what is not sent yet before it reads the rows: an order that leaves the one has reached the other.
func (o *Orders) listOwn(ctx context.Context, user string, before ident.ID, limit int) ([]Order, error) {
	unsent, err := o.claims.Unsent(ctx, user)
	if err != nil {
		return nil, err
	}
	db, table := o.store.Map().Route(ident.SlotOf(user))
	page, err := o.store.Database(db).Owned(ctx, table, user, before, limit)
	if err != nil {
		return nil, o.gone(db, err)
	}
	written := make(map[ident.ID]bool, len(page))
	for i := range page {
		written[page[i].ID] = true
	}
	for _, a := range unsent {
		if written[a.ID] || a.ID >= before || !own(a) || a.Key.User != user {
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

// listAll finds the newest ids of each database and reads only the rows that come onto the page. What a database that does not
// answer would add is missing, and said to be.
func (o *Orders) listAll(ctx context.Context, before ident.ID, limit int) ([]Order, error) {
	parts := make([]part, len(o.writers))
	miss := o.gather(ctx, func(ctx context.Context, db int) error {
		return parts[db].find(ctx, o.store.Database(db), before, limit)
	})
	var ids []ident.ID
	for db := range parts {
		ids = append(ids, parts[db].ids...)
	}
	slices.SortFunc(ids, func(a, b ident.ID) int { return cmp.Compare(b, a) })
	ids = ids[:min(limit, len(ids))]
	if len(ids) == 0 {
		return nil, miss.err()
	}
	miss.add(o.gather(ctx, func(ctx context.Context, db int) error { return parts[db].read(ctx, o.route, ids[len(ids)-1]) }))
	page := make([]Order, 0, len(ids))
	for db := range parts {
		page = append(page, parts[db].orders...)
	}
	return newest(page, limit), miss.err()
}

// part is what one database has of a page.
type part struct {
	from   store.Reader
	ids    []ident.ID
	orders []Order
}

func (p *part) find(ctx context.Context, db store.Database, before ident.ID, limit int) (err error) {
	p.from = db.Copy(ctx)
	p.ids, err = p.from.Newest(ctx, before, limit)
	return err
}

// read reads the orders that come onto the page: those down to the oldest.
func (p *part) read(ctx context.Context, route func(ident.ID) (db, table int), oldest ident.ID) error {
	for _, id := range p.ids {
		if id < oldest {
			break
		}
		_, table := route(id)
		ord, err := p.from.Get(ctx, table, id)
		if err == nil && ord == nil {
			err = notFound(id)
		}
		if err != nil {
			p.orders = nil
			return err
		}
		p.orders = append(p.orders, *ord)
	}
	return nil
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
