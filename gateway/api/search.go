package api

import (
	"context"
	"errors"
	"strings"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
)

// OrderQuery chooses orders. What is left out lets all through; the others must all hold.
type OrderQuery struct {
	PageQuery
	Q     string      `query:"q" maxLength:"255" doc:"an order's id, else a user, else an idempotency key"`
	User  string      `query:"user" maxLength:"255"`
	Sale  string      `query:"sale" maxLength:"128"`
	Key   string      `query:"key" maxLength:"255" doc:"idempotency key"`
	State order.State `query:"state" enum:"accepted,pending_payment,paid,fulfilled,cancelled,expired,refunded"`
}

// searchWidth is how many orders one call looks through at most: what is rare is found by going on with the cursor.
const searchWidth, searchPiece = 1000, 200

// found is one page of a search.
type found struct {
	orders  []order.Order
	next    string
	missing *order.Missing
}

func (q *OrderQuery) lets(o *order.Order) bool {
	return (q.Sale == "" || q.Sale == o.Sale) && (q.Key == "" || q.Key == o.Key) && (q.State == "" || q.State == o.State) && (q.User == "" || q.User == o.User)
}

func (q *OrderQuery) narrows() bool { return q.Sale != "" || q.Key != "" || q.State != "" }

// search finds out what Q is and goes through the orders. With a cursor Q has been found out: the cursor says as what.
func (s *surface) search(ctx context.Context, in *OrderQuery) (found, error) {
	q, as := *in, ""
	if q.Q == "" {
		return s.through(ctx, &q)
	}
	if as, q.Cursor, _ = strings.Cut(q.Cursor, "~"); in.Cursor == "" {
		if f, ok, err := s.byID(ctx, &q); ok || err != nil {
			return f, err
		}
		of, _, err := s.d.Orders.List(ctx, q.Q, "", 1)
		if err != nil {
			return found{}, err
		}
		as = "key"
		if len(of) > 0 {
			as = "user"
		}
	}
	switch as {
	case "user":
		q.User = q.Q
	case "key":
		q.Key = q.Q
	default:
		e := errs.New(errs.Invalid, "the request does not follow the schema")
		e.Fields = []errs.Field{{Detail: "query cursor: not a cursor of this list"}}
		return found{}, e
	}
	f, err := s.through(ctx, &q)
	if f.next != "" {
		f.next = as + "~" + f.next
	}
	return f, err
}

func (s *surface) byID(ctx context.Context, q *OrderQuery) (found, bool, error) {
	id, err := ident.Parse(q.Q)
	if err != nil {
		return found{}, false, nil
	}
	o, err := s.d.Orders.Get(ctx, "", id)
	if errs.Is(err, errs.NotFound) {
		return found{}, false, nil
	}
	if err != nil || !q.lets(&o) {
		return found{}, true, err
	}
	return found{orders: []order.Order{o}}, true, nil
}

// through pages until the page is full or the width is reached, so a page may be short, or empty, and yet have a next.
func (s *surface) through(ctx context.Context, q *OrderQuery) (f found, err error) {
	f.next = q.Cursor
	size := q.Limit
	if q.narrows() {
		size = searchPiece
	}
	for looked := 0; looked < searchWidth; looked += size {
		some, next, err := s.d.Orders.List(ctx, q.User, f.next, size)
		if part, ok := errors.AsType[*order.Missing](err); ok && len(some) > 0 {
			f.missing, err = part, nil
		}
		if err != nil {
			return f, err
		}
		f.next = next
		for i := range some {
			if !q.lets(&some[i]) {
				continue
			}
			f.orders = append(f.orders, some[i])
			if len(f.orders) == q.Limit {
				if i+1 < len(some) || next != "" {
					f.next = order.CursorAfter(some[i].ID)
				}
				return f, nil
			}
		}
		if next == "" || !q.narrows() {
			break
		}
	}
	return f, nil
}
