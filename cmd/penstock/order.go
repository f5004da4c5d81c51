package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const ordersPath = "/admin/v1/orders"

// orderView is what of an order a shell shows.
type orderView struct {
	ID, User, Sale, State, Currency string
	Amount, RefundedAmount          int64
	CreatedAt, PayBefore            time.Time
	Items                           []struct {
		SKU      string
		Quantity int64
	}
	Events []struct {
		N             int64
		At            time.Time
		From, To, Why string
	}
}

func orderRows(all []orderView) [][]string {
	rows := [][]string{{"ORDER", "STATE", "USER", "SALE", "ITEMS", "AMOUNT", "REFUNDED", "CREATED", "PAY BEFORE"}}
	for _, o := range all {
		var items []string
		for _, i := range o.Items {
			items = append(items, strconv.FormatInt(i.Quantity, 10)+"×"+i.SKU)
		}
		rows = append(rows, []string{o.ID, o.State, o.User, o.Sale, strings.Join(items, " "), money(o.Amount, o.Currency), money(o.RefundedAmount, o.Currency),
			o.CreatedAt.Format(time.RFC3339), o.PayBefore.Format(time.RFC3339)})
	}
	return rows
}

// oneOrder is an order with its events.
func oneOrder(o orderView) [][]string {
	rows := append(orderRows([]orderView{o}), nil, []string{"EVENT", "FROM", "TO", "WHY", "AT"})
	for _, e := range o.Events {
		rows = append(rows, []string{strconv.FormatInt(e.N, 10), e.From, e.To, e.Why, e.At.Format(time.RFC3339Nano)})
	}
	return rows
}

func newOrder(e *env) *cobra.Command {
	one := act{use: "show ORDER", short: "look at an order and its events", args: []string{"ORDER"}, run: func(ctx context.Context, o *operator, given []string) error {
		return show(ctx, o, call{method: http.MethodGet, path: orderPath(given[0])}, oneOrder)
	}}
	return group("order", "orders: list, show, cancel, refund, fulfil",
		listOrders().command(e), one.command(e), refundOrder().command(e),
		settleOrder("cancel", "cancellation", "cancel an order that is not paid; its stock comes back").command(e),
		settleOrder("fulfil", "fulfilment", "mark a paid order as fulfilled").command(e))
}

func orderPath(id string) string { return ordersPath + "/" + url.PathEscape(id) }

// pages adds --limit and --cursor and returns what they say.
func pages(c *cobra.Command) func() url.Values {
	limit := c.Flags().Int("limit", 50, "how many")
	cursor := c.Flags().String("cursor", "", "where the page before ended")
	return func() url.Values {
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *cursor != "" {
			q.Set("cursor", *cursor)
		}
		return q
	}
}

func listOrders() act {
	var query func() url.Values
	return act{
		use: "list", short: "list orders, newest first", flags: func(c *cobra.Command) { query = pages(c) },
		run: func(ctx context.Context, o *operator, _ []string) error {
			return show(ctx, o, call{method: http.MethodGet, path: ordersPath, query: query()}, func(p page[orderView]) [][]string {
				p.note(o)
				return orderRows(p.Items)
			})
		},
	}
}

// settleOrder is an act on an order that takes a reason and answers with the order.
func settleOrder(name, resource, short string) act {
	var reason string
	return act{
		use: name + " ORDER", short: short, args: []string{"ORDER"},
		flags: func(c *cobra.Command) { reasonFlag(c, &reason) },
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: orderPath(given[0]) + "/" + resource, body: map[string]string{"reason": reason}}, oneOrder)
		},
	}
}

func refundOrder() act {
	var reason, key string
	var amount int64
	var back bool
	return act{
		use: "refund ORDER", short: "give money of a paid order back, wholly or partly", args: []string{"ORDER"},
		flags: func(c *cobra.Command) {
			c.Flags().Int64Var(&amount, "amount", 0, "minor units; 0 for all that is left")
			c.Flags().BoolVar(&back, "return-stock", false, "put the units back on sale")
			c.Flags().StringVar(&key, "key", "", "idempotency key; repeat the call with it when the answer was lost")
			reasonFlag(c, &reason)
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if amount < 0 {
				return usage("for example --amount 500, or leave it out for all that is left", "--amount %d is less than nothing", amount)
			}
			if err := wantReason(reason); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: orderPath(given[0]) + "/refunds", header: freshKey(key),
				body: map[string]any{"amount": amount, "returnStock": back, "reason": reason}}, oneOrder)
		},
	}
}
