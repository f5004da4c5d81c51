package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"penstock/errs"
	"penstock/gateway"
	"penstock/sale"
	"penstock/stock"
)

// WaitingLists is what the calls about waiting lists need; the sale room is one.
type WaitingLists interface {
	Join(ctx context.Context, r stock.JoinRequest) (sale.Entry, error)
	Waiting(ctx context.Context, saleID, user string, entry uint64) (sale.Entry, error)
	Leave(ctx context.Context, saleID, user string, entry uint64) (sale.Entry, error)
}

// WaitingRequest says what to wait for.
type WaitingRequest struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"64"`
	Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
}

// WaitingEntry is one's entry of the waiting list of a SKU.
type WaitingEntry struct {
	Entry    string         `json:"entry" doc:"its number in the published order of decisions: who has the smaller one comes first"`
	Sale     string         `json:"sale"`
	SKU      string         `json:"sku"`
	Quantity int64          `json:"quantity"`
	State    sale.WaitState `json:"state" enum:"waiting,offered,expired,left,skipped"`
	Position int64          `json:"position,omitempty" doc:"1 is the next; only while waiting"`
	Order    string         `json:"order,omitempty" doc:"the order that was made when the turn came, with a payment window of its own"`
	Reason   string         `json:"reason,omitempty" doc:"why it ended: sale-closed, expired (the order was not paid), limit-reached, left"`
	JoinedAt time.Time      `json:"joinedAt"`
}

type waitingInput struct {
	Sale  string `path:"sale" maxLength:"128"`
	Entry string `path:"entry" maxLength:"20"`
}

type joinInput struct {
	Sale string `path:"sale" maxLength:"128"`
	KeyHeader
	Body WaitingRequest
}

type waitingOutput struct {
	Replayed     string `header:"Idempotency-Replayed"`
	CacheControl string `header:"Cache-Control"`
	Body         WaitingEntry
}

func (s *surface) waitingCalls() {
	const path, tag = "/v1/sales/{sale}/waiting", "waiting list"
	register(s, huma.Operation{
		OperationID: "join-waiting-list", Method: http.MethodPost, Path: path, DefaultStatus: http.StatusCreated, Security: bearer(), Tags: []string{tag},
		Summary: "Wait for units that come back",
		Description: "For a sale with waitingList. Units that come back, or are added, go to those who wait, in the order of their entries; each gets all that he " +
			"asked for or keeps his place. His order, and the event about it, is like that of any win.",
	}, s.joinWaiting)
	register(s, huma.Operation{
		OperationID: "get-waiting-entry", Method: http.MethodGet, Path: path + "/{entry}", Security: bearer(), Tags: []string{tag}, Summary: "Look at one's entry",
	}, s.getWaiting)
	register(s, huma.Operation{
		OperationID: "leave-waiting-list", Method: http.MethodDelete, Path: path + "/{entry}", Security: bearer(), Tags: []string{tag}, Summary: "Leave a waiting list",
		DefaultStatus: http.StatusOK, Description: "Leaving twice is one. What has been offered is an order: cancel that.",
	}, s.leaveWaiting)
}

func (s *surface) joinWaiting(ctx context.Context, in *joinInput) (*waitingOutput, error) {
	c := gateway.FromContext(ctx)
	if err := gateway.AllowSale(c.Who, in.Sale); err != nil {
		return nil, err
	}
	key, err := gateway.IdempotencyKey(c.R.Header)
	if err != nil {
		return nil, err
	}
	e, err := s.d.Waiting.Join(ctx, stock.JoinRequest{Sale: in.Sale, User: c.Who.User, Key: key, SKU: in.Body.SKU, Quantity: in.Body.Quantity})
	if err != nil {
		return nil, err
	}
	out := waitingEntry(e)
	if e.Replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// own checks that the caller may ask about the sale, and that the entry could be one.
func (in *waitingInput) own(ctx context.Context) (user string, entry uint64, err error) {
	who := gateway.FromContext(ctx).Who
	if err := gateway.AllowSale(who, in.Sale); err != nil {
		return "", 0, err
	}
	entry, err = strconv.ParseUint(in.Entry, 10, 63)
	if err != nil || strconv.FormatUint(entry, 10) != in.Entry {
		return "", 0, errs.New(errs.NotFound, "there is no such entry")
	}
	return who.User, entry, nil
}

func (s *surface) getWaiting(ctx context.Context, in *waitingInput) (*waitingOutput, error) {
	user, entry, err := in.own(ctx)
	if err != nil {
		return nil, err
	}
	e, err := s.d.Waiting.Waiting(ctx, in.Sale, user, entry)
	if err != nil {
		return nil, err
	}
	return waitingEntry(e), nil
}

func (s *surface) leaveWaiting(ctx context.Context, in *waitingInput) (*waitingOutput, error) {
	user, entry, err := in.own(ctx)
	if err != nil {
		return nil, err
	}
	e, err := s.d.Waiting.Leave(ctx, in.Sale, user, entry)
	if err != nil {
		return nil, err
	}
	return waitingEntry(e), nil
}

func waitingEntry(e sale.Entry) *waitingOutput {
	out := &waitingOutput{CacheControl: "no-store", Body: WaitingEntry{
		Entry: strconv.FormatUint(e.Seq, 10), Sale: e.Key.Sale, SKU: e.SKU, Quantity: e.Quantity, State: e.State, Position: e.Position,
		Reason: e.Why, JoinedAt: moment(e.At),
	}}
	if e.Order != 0 {
		out.Body.Order = e.Order.String()
	}
	return out
}
