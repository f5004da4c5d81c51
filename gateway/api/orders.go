package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/internal/ident"
	"penstock/order"
)

// PageQuery is how lists are paged. It is exported, like all parts of inputs, because the framework sees nothing else.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"512" doc:"next of the page before"`
}

// OrderPath names an order.
type OrderPath struct {
	Order string `path:"order"`
}

// id reads the order's id. Whatever is no id is answered like an id that does not exist.
func (in *OrderPath) id() (ident.ID, error) {
	id, err := ident.Parse(in.Order)
	if err != nil {
		return 0, errs.Wrap(errs.NotFound, err, "no such order")
	}
	return id, nil
}

type orderOutput struct {
	CacheControl string `header:"Cache-Control"`
	Replayed     string `header:"Idempotency-Replayed"`
	Body         Order
}

func ownOrder(o order.Order, replayed bool) *orderOutput {
	return &orderOutput{CacheControl: "no-store", Replayed: replayMark(replayed), Body: wireOrder(o)}
}

func replayMark(replayed bool) string {
	if replayed {
		return "true"
	}
	return ""
}

type orderPage struct {
	CacheControl string `header:"Cache-Control"`
	Body         Page[Order]
}

func (s *surface) orderCalls() {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Security: bearer(), Tags: []string{"orders"}}
	}
	register(s, op("list-orders", http.MethodGet, "/v1/orders", "List my orders, newest first"), s.listOrders)
	register(s, op("get-order", http.MethodGet, "/v1/orders/{order}", "Look at an order of mine"), s.getOrder)
	register(s, op("cancel-order", http.MethodPost, "/v1/orders/{order}/cancellation", "Cancel an order that is not paid"), s.cancelOrder)
}

func (s *surface) listOrders(ctx context.Context, in *PageQuery) (*orderPage, error) {
	orders, next, err := s.d.Orders.List(ctx, gateway.FromContext(ctx).Who.User, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &orderPage{CacheControl: "no-store", Body: Page[Order]{Items: each(orders, wireOrder), Next: next}}, nil
}

func (s *surface) getOrder(ctx context.Context, in *OrderPath) (*orderOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	o, err := s.d.Orders.Get(ctx, gateway.FromContext(ctx).Who.User, id)
	if err != nil {
		return nil, err
	}
	return ownOrder(o, false), nil
}

// Reason is why somebody acts.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why, for the audit trail and the history of what is acted on; without one they say who did what, and no more"`
}

type cancelInput struct {
	OrderPath
	Body *Reason
}

func (s *surface) cancelOrder(ctx context.Context, in *cancelInput) (*orderOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	c := gateway.FromContext(ctx)
	o, err := s.d.Orders.Cancel(ctx, c.Who.User, id, c.Who.User, in.why("cancelled by the buyer"), c.Trace)
	if err != nil {
		return nil, err
	}
	return ownOrder(o, false), nil
}
