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
	return group("order", "orders: list, show, cancel, refund, fulfil",
		listOrders().command(e), look("ORDER", "look at an order and its events", orderPath, oneOrder).command(e), refundOrder().command(e),
		verb("cancel", "ORDER", "cancel an order that is not paid; its stock comes back", below(orderPath, "cancellation"), oneOrder).command(e),
		verb("fulfil", "ORDER", "mark a paid order as fulfilled", below(orderPath, "fulfilment"), oneOrder).command(e))
}

func orderPath(id string) string { return ordersPath + "/" + url.PathEscape(id) }

// pages adds --limit and --cursor and returns what they say.
func pages(c *cobra.Command) func() url.Values {
	limit := c.Flags().Int("limit", 50, "how many")
	cursor := c.Flags().String("cursor", "", "where the page before ended")
	return func() url.Values {
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		set(q, "cursor", *cursor)
		return q
	}
}

// set sets what is given.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func listOrders() act {
	var query func() url.Values
	return act{
		use: "list", short: "list orders, newest first", flags: func(c *cobra.Command) { query = pages(c) },
		run: func(ctx context.Context, o *operator, _ []string) error {
			return list(ctx, o, call{path: ordersPath, query: query()}, orderRows)
		},
	}
}

func refundOrder() act {
	var key string
	var amount int64
	var back bool
	var some func() bool // whether an amount was given
	return act{
		use: "refund ORDER", short: "give money of a paid order back, wholly or partly", args: []string{"ORDER"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().Int64Var(&amount, "amount", 0, "minor units; left out: all that is left")
			some = func() bool { return c.Flags().Changed("amount") }
			c.Flags().BoolVar(&back, "return-stock", false, "put the units back on sale")
			c.Flags().StringVar(&key, "key", "", "idempotency key; repeat the call with it when the answer was lost")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			body := map[string]any{"returnStock": back, "reason": o.reason}
			if some() {
				body["amount"] = amount
				if amount <= 0 {
					return usage("for example --amount 500, or leave it out for all that is left", "--amount %d is not an amount to give back", amount)
				}
			}
			return show(ctx, o, call{method: http.MethodPost, path: orderPath(given[0]) + "/refunds", header: freshKey(key), body: body}, oneOrder)
		},
	}
}
