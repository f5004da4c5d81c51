package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	bus "penstock/bus/driver"
	"penstock/order"
	"penstock/order/payment"
)

// OrderTimeline is all that is known of one order.
type OrderTimeline struct {
	Order    OperatorOrder   `json:"order"`
	Actions  []OrderAction   `json:"actions" nullable:"false" doc:"what an operator may do to it now"`
	Payments []Payment       `json:"payments" nullable:"false"`
	Entries  []TimelineEntry `json:"entries" nullable:"false" doc:"oldest first"`
}

// OrderAction is a legal act. Most is the largest amount of a refund, in minor units.
type OrderAction struct {
	Action string `json:"action" enum:"cancel,fulfil,refund"`
	Most   int64  `json:"most,omitempty"`
}

// TimelineEntry is one thing that happened. Data depends on the kind: an OrderEvent, a Payment, a DeadLetter or an AuditRow.
type TimelineEntry struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind" enum:"event,payment,refund,dead-letter"`
	What string    `json:"what"`
	Data any       `json:"data"`
}

type timelineOutput struct{ Body OrderTimeline }

func (s *surface) timelineCalls() {
	op := operator("order-timeline", http.MethodGet, "/orders/{order}/timeline", "An order with its events, payments, refunds and messages that failed, in order, and what may be done to it")
	op.Description = "Messages that were delivered are not among the entries: the tables that they are sent from are read by number, have no index by order, and are pruned. " +
		"What a delivered message did stands in the events. Of messages that failed, the first 200 of the buyer are looked through."
	register(s, op, s.timeline)
}

func (s *surface) timeline(ctx context.Context, in *OrderPath) (*timelineOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	o, err := s.d.Orders.Get(ctx, "", id)
	if err != nil {
		return nil, err
	}
	out := OrderTimeline{Order: operatorOrder(o), Payments: []Payment{}, Entries: []TimelineEntry{}}
	for _, e := range out.Order.Events {
		out.Entries = append(out.Entries, TimelineEntry{e.At, "event", string(e.To), e})
	}
	paid, err := s.d.Desk.Payments.ByOrder(ctx, id)
	if err != nil {
		return nil, err
	}
	var free int64
	for _, p := range paid {
		if err := s.paid(ctx, &out, p); err != nil {
			return nil, err
		}
		free += p.Captured - p.Refunded
	}
	out.Actions = actionsOf(o.State, free)
	letters, err := s.d.DeadLetters.List(ctx, bus.Filter{User: o.User, All: true}, 0, 200)
	if err != nil {
		return nil, err
	}
	for _, l := range letters {
		if about(&l, out.Order.ID) {
			out.Entries = append(out.Entries, TimelineEntry{moment(l.FailedAt), "dead-letter", l.State, wireDeadLetter(l)})
		}
	}
	slices.SortStableFunc(out.Entries, func(a, b TimelineEntry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return &timelineOutput{out}, nil
}

// paid adds a payment and its refunds. The time of a refund is not kept: it is no earlier than the payment's last change.
func (s *surface) paid(ctx context.Context, out *OrderTimeline, p payment.Payment) error {
	out.Payments = append(out.Payments, wirePayment(p))
	out.Entries = append(out.Entries, TimelineEntry{moment(p.At), "payment", string(p.State), wirePayment(p)})
	refunds, err := s.d.Desk.Payments.Refunds(ctx, p.ID)
	for _, r := range refunds {
		out.Entries = append(out.Entries, TimelineEntry{moment(p.At), "refund", string(r.State), map[string]string{
			"id": r.ID.String(), "payment": r.Payment.String(), "amount": strconv.FormatInt(r.Amount, 10), "currency": p.Currency,
		}})
	}
	return err
}

// actionsOf is what an operator may do to an order in a state, of whose money free can be given back.
func actionsOf(state order.State, free int64) []OrderAction {
	all := []OrderAction{}
	if order.Legal(state, order.Cancelled) {
		all = append(all, OrderAction{Action: "cancel"})
	}
	if order.Legal(state, order.Fulfilled) {
		all = append(all, OrderAction{Action: "fulfil"})
	}
	if order.Legal(state, order.Refunded) && free > 0 {
		all = append(all, OrderAction{Action: "refund", Most: free})
	}
	return all
}

// about reports a message that names the order: by its key, or as "order" in its payload.
func about(l *bus.DeadLetter, id string) bool {
	var p struct {
		Order string `json:"order"`
	}
	return l.Message.Key == id || json.Unmarshal(l.Message.Payload, &p) == nil && p.Order == id
}
