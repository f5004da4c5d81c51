package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// difference is one disagreement between two records of the same thing.
type difference struct {
	Kind, Object, Explanation string
	Repaired                  bool
}

func newReconcile(e *env) *cobra.Command {
	var repair bool
	return act{
		use: "reconcile", short: "compare stock, orders, money, ledger and gate; exit 1 when they differ",
		reason: allowed,
		flags: func(c *cobra.Command) {
			c.Flags().BoolVar(&repair, "repair", false, "mend what is safe to mend")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			c := call{method: http.MethodGet, path: "/admin/v1/reconcile"}
			if repair {
				if err := o.wantReason(); err != nil {
					return err
				}
				c.method, c.body = http.MethodPost, map[string]string{"reason": o.reason}
			}
			raw, _, err := o.do(ctx, c)
			if err != nil {
				return err
			}
			var p page[difference]
			if err := json.Unmarshal(raw, &p); err != nil {
				return failed("is the server of the same release?", "the answer cannot be read: %w", err)
			}
			if err := present(o, raw, func(page[difference]) [][]string { return differenceRows(p.Items) }); err != nil {
				return err
			}
			if open := unrepaired(p.Items); open > 0 {
				return failed("`penstock reconcile --repair --reason …` mends what is safe to mend", "%d difference(s)", open)
			}
			return nil
		},
	}.command(e)
}

func unrepaired(all []difference) (n int) {
	for _, d := range all {
		if !d.Repaired {
			n++
		}
	}
	return n
}

func differenceRows(all []difference) [][]string {
	if len(all) == 0 {
		return [][]string{{"no differences"}}
	}
	rows := [][]string{{"KIND", "OBJECT", "REPAIRED", "EXPLANATION"}}
	for _, d := range all {
		rows = append(rows, []string{d.Kind, d.Object, strconv.FormatBool(d.Repaired), d.Explanation})
	}
	return rows
}
