package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// difference is one disagreement between two records of the same thing.
type difference struct {
	Kind, Object, Explanation string
	Repaired                  bool
}

// comparison is what the server found, and what it did not list.
type comparison struct {
	Items   []difference
	Waiting int64
	Gaps    []struct {
		Kind  string
		Count int64
		Why   string
	}
}

func newReconcile(e *env) *cobra.Command {
	var repair bool
	return act{
		use: "reconcile", short: "compare stock, orders, money, ledger and gate; exit 1 when they differ or not all could be compared",
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
			var p comparison
			if err := json.Unmarshal(raw, &p); err != nil {
				return failed("is the server of the same release?", "the answer cannot be read: %w", err)
			}
			if err := present(o, raw, func(comparison) [][]string { return differenceRows(p) }); err != nil {
				return err
			}
			if open := unrepaired(p.Items); open > 0 {
				return failed("`penstock reconcile --repair --reason …` mends what is safe to mend", "%d difference(s)", open)
			}
			if n := p.missed(); n > 0 {
				return failed("each line \"not complete\" says what to wait for; then compare again", "no difference is open, but the comparison is not complete: %d not listed", n)
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

// missed is how many may differ and are not listed.
func (p comparison) missed() (n int64) {
	for _, g := range p.Gaps {
		n += g.Count
	}
	return n
}

func differenceRows(p comparison) [][]string {
	var rows [][]string
	if len(p.Items) > 0 {
		rows = append(rows, []string{"KIND", "OBJECT", "REPAIRED", "EXPLANATION"})
	}
	for _, d := range p.Items {
		rows = append(rows, []string{d.Kind, d.Object, strconv.FormatBool(d.Repaired), d.Explanation})
	}
	for _, g := range p.Gaps {
		rows = append(rows, []string{fmt.Sprintf("not complete: %d of kind %s not listed: %s", g.Count, g.Kind, g.Why)})
	}
	switch {
	case len(rows) > 0:
	case p.Waiting > 0:
		rows = [][]string{{fmt.Sprintf("no differences; %d message(s) on the way to the orders hide none", p.Waiting)}}
	default:
		rows = [][]string{{"no differences"}}
	}
	return rows
}
