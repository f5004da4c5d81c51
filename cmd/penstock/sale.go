package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const salesPath = "/admin/v1/sales"

// saleView is what of a sale a shell shows.
type saleView struct {
	ID, Title, State string
	StartsAt, EndsAt time.Time
	Version          int64
	Stock            []levelView
}

type levelView struct {
	Sale, SKU                                                   string
	Offered, Available, Held, Sold, Withdrawn, Waiting, Version int64
}

func saleRows(all []saleView) [][]string {
	rows := [][]string{{"SALE", "STATE", "STARTS", "ENDS", "VERSION", "SKU", "OFFERED", "AVAILABLE", "HELD", "SOLD", "WITHDRAWN", "WAITING"}}
	for _, s := range all {
		head := []string{s.ID, s.State, s.StartsAt.Format(time.RFC3339), s.EndsAt.Format(time.RFC3339), strconv.FormatInt(s.Version, 10)}
		for _, l := range s.Stock {
			rows = append(rows, append(head[:5:5], levelCells(l)...))
			head = make([]string, 5)
		}
		if len(s.Stock) == 0 {
			rows = append(rows, head)
		}
	}
	return rows
}

func levelCells(l levelView) []string {
	cells := []string{l.SKU}
	for _, n := range []int64{l.Offered, l.Available, l.Held, l.Sold, l.Withdrawn, l.Waiting} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return cells
}

func levelRows(all []levelView) [][]string {
	rows := [][]string{{"SALE", "SKU", "OFFERED", "AVAILABLE", "HELD", "SOLD", "WITHDRAWN", "WAITING"}}
	for _, l := range all {
		rows = append(rows, append([]string{l.Sale}, levelCells(l)...))
	}
	return rows
}

func oneSale(s saleView) [][]string { return saleRows([]saleView{s}) }

func newSale(e *env) *cobra.Command {
	all := act{use: "list", short: "list the sales with their stock", run: func(ctx context.Context, o *operator, _ []string) error {
		return list(ctx, o, call{path: salesPath}, saleRows)
	}}
	return group("sale", "sales: list, show, create, patch, stock, action",
		all.command(e), look("SALE", "look at a sale", salePath, oneSale).command(e), createSale().command(e), patchSale().command(e), saleStock().command(e), saleAction().command(e))
}

func salePath(id string) string { return salesPath + "/" + url.PathEscape(id) }

func createSale() act {
	var file string
	return act{
		use: "create -f FILE", short: "create a sale from a JSON file (- for standard input)",
		flags: func(c *cobra.Command) {
			c.Flags().StringVarP(&file, "file", "f", "", "definition: {id,title,startsAt,endsAt,paymentWindowSeconds,graceSeconds,waitingList,admission,line,items:[{sku,title,price,currency,stock,limitPerUser}]}")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			raw, err := readDefinition(o.e, file)
			if err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: salesPath, body: raw}, oneSale)
		},
	}
}

func readDefinition(e *env, file string) ([]byte, error) {
	var raw []byte
	var err error
	switch file {
	case "":
		return nil, usage("for example `penstock sale create -f sale.json`, or -f - for standard input", "-f is missing")
	case "-":
		raw, err = io.ReadAll(e.in)
	default:
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, usage("-f names a JSON file, or is - for standard input", "the definition cannot be read: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, usage(`a definition is one JSON object: {"title":…,"startsAt":…,"endsAt":…,"items":[…]}`, "%s is not a JSON object: %w", file, err)
	}
	return raw, nil
}

func patchSale() act {
	var title, starts, ends string
	var window, grace time.Duration
	var version int64
	var set *cobra.Command
	return act{
		use: "patch SALE", short: "change a sale; what is not named stays", args: []string{"SALE"},
		flags: func(c *cobra.Command) {
			set = c
			c.Flags().StringVar(&title, "title", "", "new title")
			c.Flags().StringVar(&starts, "starts-at", "", "new start, RFC 3339")
			c.Flags().StringVar(&ends, "ends-at", "", "new end, RFC 3339")
			c.Flags().DurationVar(&window, "payment-window", 0, "new payment window, for later winners")
			c.Flags().DurationVar(&grace, "grace", 0, "new grace, for later winners")
			c.Flags().Int64Var(&version, "if-version", 0, "change it only if it is still at this version; else the one it has now")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			body := map[string]any{}
			for flag, field := range map[string]struct {
				name  string
				value any
			}{
				"title": {"title", title}, "starts-at": {"startsAt", starts}, "ends-at": {"endsAt", ends},
				"payment-window": {"paymentWindowSeconds", int64(window / time.Second)}, "grace": {"graceSeconds", int64(grace / time.Second)},
			} {
				if set.Flags().Changed(flag) {
					body[field.name] = field.value
				}
			}
			if len(body) == 0 {
				return usage("for example --ends-at 2026-11-12T00:00:00Z", "nothing to change")
			}
			seen, err := versionTag(ctx, o, given[0], version)
			if err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPatch, path: salePath(given[0]), body: body, header: map[string]string{"If-Match": seen}}, oneSale)
		},
	}
}

// versionTag is the If-Match of a version, or of the one the sale has now.
func versionTag(ctx context.Context, o *operator, sale string, version int64) (string, error) {
	if version > 0 {
		return strconv.Quote(strconv.FormatInt(version, 10)), nil
	}
	_, header, err := o.do(ctx, call{method: http.MethodGet, path: salePath(sale)})
	if err != nil {
		return "", err
	}
	return header.Get("ETag"), nil
}

func saleStock() act {
	var sku, key string
	var add, withdraw int64
	return act{
		use: "stock SALE", short: "look at the stock of a sale, or --add or --withdraw units", args: []string{"SALE"},
		reason: allowed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&sku, "sku", "", "the SKU to change")
			c.Flags().Int64Var(&add, "add", 0, "units to add")
			c.Flags().Int64Var(&withdraw, "withdraw", 0, "free units to withdraw")
			c.Flags().StringVar(&key, "key", "", "idempotency key; repeat the call with it when the answer was lost")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if add == 0 && withdraw == 0 {
				return show(ctx, o, call{method: http.MethodGet, path: "/admin/v1/stock", query: url.Values{"sale": given[:1]}},
					func(p page[levelView]) [][]string { return levelRows(p.Items) })
			}
			switch {
			case add < 0 || withdraw < 0 || add > 0 && withdraw > 0:
				return usage("write either --add 10 or --withdraw 10", "--add %d --withdraw %d is not one change", add, withdraw)
			case sku == "":
				return usage("for example --sku tea --add 10", "--sku is missing")
			}
			if err := o.wantReason(); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: salePath(given[0]) + "/stock", header: freshKey(key),
				body: map[string]any{"sku": sku, "delta": add - withdraw, "reason": o.reason}},
				func(l levelView) [][]string { return levelRows([]levelView{l}) })
		},
	}
}

func saleAction() act {
	actions := []string{"open", "pause", "resume", "force_sold_out", "close"}
	return act{
		use: "action SALE ACTION", short: strings.Join(actions, ", ") + " a whole sale", args: []string{"SALE", "ACTION"},
		reason: needed,
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := oneOf("ACTION", given[1], actions); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: salePath(given[0]) + "/actions", body: map[string]string{"action": given[1], "reason": o.reason}}, oneSale)
		},
	}
}

// oneOf wants a word that is on the list.
func oneOf(what, word string, all []string) error {
	if slices.Contains(all, word) {
		return nil
	}
	return usage("write one of "+strings.Join(all, ", "), "%s %q is not known", what, word)
}
