package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// standingView is what a user has in one currency.
type standingView struct {
	Currency                              string
	Balance, Held, CreditLimit, Available int64
}

type balanceView struct {
	User  string
	Items []standingView
}

// entryView is one change of a user's account.
type entryView struct {
	Transaction, Kind, Account, Currency, Ref, Reason, Who string
	At                                                     time.Time
	Amount, Balance                                        int64
}

// moveView is what an operator made.
type moveView struct {
	Transaction, Kind, User, Currency, Reason string
	At                                        time.Time
	Amount                                    int64
}

func newBalance(e *env) *cobra.Command {
	return group("balance", "what users have with the shop: show, entries, add, limit",
		look("USER", "what a user has, by currency", balancePath, balanceRows).command(e), balanceEntries().command(e), addBalance().command(e), limitBalance().command(e))
}

func balancePath(user string) string { return "/admin/v1/balances/" + url.PathEscape(user) }

func balanceRows(b balanceView) [][]string {
	rows := [][]string{{"USER", "BALANCE", "HELD", "CREDIT LIMIT", "AVAILABLE"}}
	for _, s := range b.Items {
		rows = append(rows, []string{b.User, money(s.Balance, s.Currency), money(s.Held, s.Currency), money(s.CreditLimit, s.Currency), money(s.Available, s.Currency)})
	}
	return rows
}

func balanceEntries() act {
	var query func() url.Values
	return act{
		use: "entries USER", short: "what changed a user's balance, newest first", args: []string{"USER"},
		flags: func(c *cobra.Command) { query = pages(c) },
		run: func(ctx context.Context, o *operator, given []string) error {
			return show(ctx, o, call{method: http.MethodGet, path: balancePath(given[0]) + "/entries", query: query()}, func(p page[entryView]) [][]string {
				p.note(o)
				rows := [][]string{{"TRANSACTION", "AT", "KIND", "ACCOUNT", "AMOUNT", "BALANCE", "REF", "REASON", "WHO"}}
				for _, e := range p.Items {
					rows = append(rows, []string{e.Transaction, e.At.Format(time.RFC3339), e.Kind, e.Account, money(e.Amount, e.Currency), money(e.Balance, e.Currency), e.Ref, e.Reason, e.Who})
				}
				return rows
			})
		},
	}
}

func addBalance() act {
	var currency, key string
	var amount int64
	return act{
		use: "add USER", short: "top a balance up, or pay it out with a negative amount", args: []string{"USER"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().Int64Var(&amount, "amount", 0, "minor units; below 0 is a withdrawal")
			c.Flags().StringVar(&currency, "currency", "", "three capital letters, for example CNY")
			c.Flags().StringVar(&key, "key", "", "idempotency key: repeat it to be sure that it is done once (else a fresh one)")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if amount == 0 || currency == "" {
				return usage("for example --amount 5000 --currency CNY", "--amount and --currency are needed")
			}
			body := map[string]any{"amount": amount, "currency": currency, "reason": o.reason}
			return show(ctx, o, call{method: http.MethodPost, path: balancePath(given[0]) + "/entries", body: body, header: freshKey(key)}, func(m moveView) [][]string {
				return [][]string{{"TRANSACTION", "AT", "KIND", "USER", "AMOUNT", "REASON"}, {m.Transaction, m.At.Format(time.RFC3339), m.Kind, m.User, money(m.Amount, m.Currency), m.Reason}}
			})
		},
	}
}

func limitBalance() act {
	var currency string
	limit := int64(-1)
	return act{
		use: "limit USER", short: "say how far a user's balance may go below zero", args: []string{"USER"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().Int64Var(&limit, "limit", -1, "minor units, at least 0")
			c.Flags().StringVar(&currency, "currency", "", "three capital letters, for example CNY")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if limit < 0 || currency == "" {
				return usage("for example --limit 10000 --currency CNY", "--limit, at least 0, and --currency are needed")
			}
			body := map[string]any{"limit": limit, "reason": o.reason}
			path := balancePath(given[0]) + "/limits/" + url.PathEscape(currency)
			return show(ctx, o, call{method: http.MethodPut, path: path, body: body}, func(s standingView) [][]string {
				return balanceRows(balanceView{given[0], []standingView{s}})
			})
		},
	}
}
