package api

import (
	"context"
	"net/http"

	"penstock/gateway"
	"penstock/order"
)

type operatorOrderOutput struct {
	Replayed string `header:"Idempotency-Replayed"`
	Body     OperatorOrder
}

func (s *surface) operatorOrderCalls() {
	register(s, operator("operator-list-orders", http.MethodGet, "/orders", "Search the orders, newest first; a page may be short, or empty, and yet have a next"), s.allOrders)
	register(s, operator("operator-get-order", http.MethodGet, "/orders/{order}", "Look at an order"), s.anyOrder)
	register(s, operator("fulfil-order", http.MethodPost, "/orders/{order}/fulfilment", "Mark a paid order as fulfilled"), s.fulfilOrder)
	register(s, operator("operator-cancel-order", http.MethodPost, "/orders/{order}/cancellation", "Cancel an order that is not paid"), s.cancelAnyOrder)
	register(s, operator("operator-refund-order", http.MethodPost, "/orders/{order}/refunds", "Give money back, wholly or partly"), s.refundAnyOrder)
}

// OrderPage is one page of all orders.
type OrderPage struct {
	Page[OperatorOrder]
	Missing []int `json:"missing,omitempty" nullable:"false" doc:"numbers of the order databases that did not answer: their orders are not on this page"`
}

type orderPageOutput struct{ Body OrderPage }

// allOrders gives what there is when some databases do not answer, and says which; when none does, that is a problem.
func (s *surface) allOrders(ctx context.Context, in *OrderQuery) (*orderPageOutput, error) {
	f, err := s.search(ctx, in)
	if err != nil {
		return nil, err
	}
	page := OrderPage{Page: Page[OperatorOrder]{Items: each(f.orders, operatorOrder), Next: f.next}}
	if f.missing != nil {
		page.Missing = f.missing.Shards
	}
	return &orderPageOutput{page}, nil
}

func (s *surface) anyOrder(ctx context.Context, in *OrderPath) (*operatorOrderOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return operatorAnswer(s.d.Orders.Get(ctx, "", id))
}

func operatorAnswer(o order.Order, err error) (*operatorOrderOutput, error) {
	if err != nil {
		return nil, err
	}
	return &operatorOrderOutput{Body: operatorOrder(o)}, nil
}

func (s *surface) fulfilOrder(ctx context.Context, in *cancelInput) (*operatorOrderOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return operatorAnswer(s.d.Orders.Fulfil(ctx, id, acting(ctx), in.why("fulfilled by an operator")))
}

func (s *surface) cancelAnyOrder(ctx context.Context, in *cancelInput) (*operatorOrderOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return operatorAnswer(s.d.Orders.Cancel(ctx, "", id, acting(ctx), in.why("cancelled by an operator"), gateway.FromContext(ctx).Trace))
}

// why is the reason given, or what stands for none.
func (in *cancelInput) why(otherwise string) string {
	if in.Body != nil && in.Body.Reason != "" {
		return in.Body.Reason
	}
	return otherwise
}

func (s *surface) refundAnyOrder(ctx context.Context, in *refundInput) (*operatorOrderOutput, error) {
	r, err := in.refund(ctx)
	if err != nil {
		return nil, err
	}
	o, replayed, err := s.d.Payments.Refund(ctx, r)
	if err != nil {
		return nil, err
	}
	return &operatorOrderOutput{Replayed: replayMark(replayed), Body: operatorOrder(o)}, nil
}
