package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const casesPath = "/admin/v1/cases"

// caseView is what of a case a shell shows.
type caseView struct {
	ID, Kind, State, Payment, Ref, Currency, Detail string
	Amount                                          int64
	At                                              time.Time
	Actions                                         []struct{ Action, Effect string }
	Closing                                         *struct {
		Action, Who, Reason string
		At                  time.Time
	}
	Known *struct {
		Provider, ProviderSays, PaymentState, Order, OrderState string
		Asked, Captured, Refunded, RefundedAmount               int64
	}
}

func caseRows(all []caseView) [][]string {
	rows := [][]string{{"CASE", "KIND", "STATE", "PAYMENT", "AT STAKE", "SINCE", "DETAIL"}}
	for _, c := range all {
		state := c.State
		if c.Closing != nil {
			state = c.Closing.Action
		}
		rows = append(rows, []string{c.ID, c.Kind, state, c.Payment, money(c.Amount, c.Currency), c.At.Format(time.RFC3339), c.Detail})
	}
	return rows
}

// oneCase is a case with what is known and what may be done.
func oneCase(c caseView) [][]string {
	rows := append(caseRows([]caseView{c}), nil)
	if k := c.Known; k != nil {
		rows = append(rows, []string{"provider", k.Provider + " says: " + k.ProviderSays},
			[]string{"payment", k.PaymentState + ", asked " + money(k.Asked, c.Currency) + ", captured " + strconv.FormatInt(k.Captured, 10) + ", refunded " + strconv.FormatInt(k.Refunded, 10)},
			[]string{"order", k.Order + " is " + k.OrderState + ", was told of " + strconv.FormatInt(k.RefundedAmount, 10) + " refunded"})
	}
	for _, a := range c.Actions {
		rows = append(rows, []string{"may " + a.Action, a.Effect})
	}
	if c.Closing != nil {
		rows = append(rows, []string{"closed", c.Closing.Action + " " + c.Closing.Who + " " + c.Closing.Reason})
	}
	return rows
}

func casePath(id string) string { return casesPath + "/" + url.PathEscape(id) }

func newCase(e *env) *cobra.Command {
	return group("case", "payments that wait for somebody to decide: list, show, refund, accept, retry", listCases().command(e),
		look("CASE", "look at a case, with what provider and order say now", casePath, oneCase).command(e),
		resolveCase("refund", "give the sum at stake back").command(e), resolveCase("accept", "mark the case as handled").command(e),
		resolveCase("retry", "do again what did not come to its end").command(e))
}

func listCases() act {
	var all bool
	var kind string
	var query func() url.Values
	return act{
		use: "list", short: "list cases, oldest first",
		flags: func(c *cobra.Command) {
			query = pages(c)
			c.Flags().BoolVar(&all, "all", false, "also those that are closed, such as late money that mended itself")
			c.Flags().StringVar(&kind, "kind", "", "only this kind: mismatch, reference-reused, second-capture, refund-refused, refund-waiting, refund-books, late or silent")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			q := query()
			q.Set("all", strconv.FormatBool(all))
			set(q, "kind", kind)
			return list(ctx, o, call{path: casesPath, query: q}, caseRows)
		},
	}
}

func resolveCase(name, short string) act {
	return act{
		use: name + " CASE", short: short, args: []string{"CASE"},
		reason: needed,
		run: func(ctx context.Context, o *operator, given []string) error {
			return show(ctx, o, call{method: http.MethodPost, path: casePath(given[0]) + "/resolve", body: map[string]string{"action": name, "reason": o.reason}}, oneCase)
		},
	}
}
