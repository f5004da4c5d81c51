package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const transactionsPath = "/admin/v1/transactions"

// stakeView is money by currency and units by SKU.
type stakeView struct{ Money, Units map[string]int64 }

func (s stakeView) String() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(s.Money)) {
		parts = append(parts, money(s.Money[c], c))
	}
	for _, sku := range slices.Sorted(maps.Keys(s.Units)) {
		parts = append(parts, strconv.FormatInt(s.Units[sku], 10)+" × "+sku)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// transactionView is what of a transaction a shell shows.
type transactionView struct {
	ID, Kind, State, From, Reason, Who string
	BeganAt                            time.Time
	AtStake                            struct{ Held, Taken, Unsure stakeView }
	Branches                           []struct {
		Name, Participant, State, Holding, Error string
		Tries                                    int
		Stake                                    struct {
			Amount   int64
			Currency string
			Units    []struct {
				SKU      string
				Quantity int64
			}
		}
	}
	Timeline []struct {
		N                         int64
		At                        time.Time
		What, Branch, Who, Detail string
	}
}

func transactionRows(all []transactionView) [][]string {
	rows := [][]string{{"TRANSACTION", "KIND", "STATE", "BEGAN", "HELD", "TAKEN", "UNSURE", "REASON"}}
	for _, t := range all {
		rows = append(rows, []string{t.ID, t.Kind, t.State, t.BeganAt.Format(time.RFC3339), t.AtStake.Held.String(), t.AtStake.Taken.String(), t.AtStake.Unsure.String(), t.Reason})
	}
	return rows
}

// oneTransaction is a transaction with its branches and its timeline.
func oneTransaction(t transactionView) [][]string {
	rows := append(transactionRows([]transactionView{t}), nil, []string{"BRANCH", "PARTICIPANT", "STATE", "HAS", "STAKE", "TRIES", "ERROR"})
	for _, b := range t.Branches {
		var stake []string
		if b.Stake.Amount != 0 {
			stake = append(stake, money(b.Stake.Amount, b.Stake.Currency))
		}
		for _, u := range b.Stake.Units {
			stake = append(stake, fmt.Sprintf("%d × %s", u.Quantity, u.SKU))
		}
		rows = append(rows, []string{b.Name, b.Participant, b.State, b.Holding, strings.Join(stake, ", "), strconv.Itoa(b.Tries), b.Error})
	}
	if len(t.Timeline) > 0 {
		rows = append(rows, nil, []string{"N", "AT", "WHAT", "BRANCH", "WHO", "DETAIL"})
	}
	for _, s := range t.Timeline {
		rows = append(rows, []string{strconv.FormatInt(s.N, 10), s.At.Format(time.RFC3339Nano), s.What, s.Branch, s.Who, s.Detail})
	}
	return rows
}

func newSaga(e *env) *cobra.Command {
	one := look("TRANSACTION", "look at a transaction: what each branch has, and the timeline", transactionPath, oneTransaction)
	return group("saga", "transactions across services: list, show, resolve", listTransactions().command(e), one.command(e), resolveTransaction().command(e))
}

func transactionPath(id string) string { return transactionsPath + "/" + url.PathEscape(id) }

func listTransactions() act {
	var state string
	var query func() url.Values
	return act{
		use: "list", short: "list transactions, newest first",
		flags: func(c *cobra.Command) {
			query = pages(c)
			c.Flags().StringVar(&state, "state", "", "only those that are trying, confirming, confirmed, cancelling, cancelled or needs_human")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			q := query()
			set(q, "state", state)
			return list(ctx, o, call{path: transactionsPath, query: q}, transactionRows)
		},
	}
}

func resolveTransaction() act {
	var action string
	var settled []string
	return act{
		use: "resolve TRANSACTION", short: "decide about a transaction that needs a human", args: []string{"TRANSACTION"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&action, "action", "", "retry goes on where it stood; confirm and cancel force the direction")
			c.Flags().StringSliceVar(&settled, "settled", nil, "branches that were put right by hand: they are not called any more")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if !slices.Contains([]string{"retry", "confirm", "cancel"}, action) {
				return usage("for example --action retry", "--action is %q; it is retry, confirm or cancel", action)
			}
			body := map[string]any{"action": action, "reason": o.reason}
			if len(settled) > 0 {
				body["settled"] = settled
			}
			return show(ctx, o, call{method: http.MethodPost, path: transactionPath(given[0]) + "/resolve", body: body}, oneTransaction)
		},
	}
}
