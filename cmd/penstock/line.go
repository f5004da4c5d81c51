package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"penstock/line"
	"penstock/line/draw"
)

type lineView struct {
	SKU, Admission, Draw                                        string
	Open                                                        bool
	Waiting, Away, Called, Admitted, Used, Expired, Left, Total int
	RatePerSecond, PacePerSecond                                float64
}

func newLine(e *env) *cobra.Command {
	one := look("SALE", "who stands in a sale's lines, by SKU", below(salePath, "line"), lineRows)
	verify := &cobra.Command{Use: "verify FILE", Short: "recompute from the export \"line\" that everybody was called in his turn", Args: args("FILE")}
	verify.RunE = func(_ *cobra.Command, given []string) error {
		f, err := os.Open(given[0])
		if err != nil {
			return usage("write it with `penstock export line`", "%v", err)
		}
		defer f.Close()
		got, err := line.Recompute(f)
		if err != nil && !errors.Is(err, line.ErrUnfair) {
			return usage("write it with `penstock export line`", "%s: %w", given[0], err)
		}
		if err != nil {
			return failed("the export names entries by their numbers", "%w", err)
		}
		fmt.Fprintf(e.out, "in order: %d lines, %d entries, %d calls\n", got.Lines, got.Entries, got.Calls)
		return nil
	}
	return group("line", "lines of sales: show, verify", one.command(e), verify)
}

func lineRows(p page[lineView]) [][]string {
	rows := [][]string{{"SKU", "ADMISSION", "DRAW", "OPEN", "WAITING", "AWAY", "CALLED", "ADMITTED", "USED", "EXPIRED", "LEFT", "RATE/S", "PACE/S"}}
	for _, l := range p.Items {
		row := []string{l.SKU, l.Admission, l.Draw, strconv.FormatBool(l.Open)}
		for _, n := range []int{l.Waiting, l.Away, l.Called, l.Admitted, l.Used, l.Expired, l.Left} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.0f", l.RatePerSecond), fmt.Sprintf("%.1f", l.PacePerSecond)))
	}
	return rows
}

func newDraw(e *env) *cobra.Command {
	return group("draw", "draws of sales: verify, value", verifyDraw(e), drawValue().command(e))
}

// verifyDraw needs nobody's permission: what it reads is published.
func verifyDraw(e *env) *cobra.Command {
	var from, before string
	c := &cobra.Command{Use: "verify [FILE]", Short: "recompute a draw from what was published of it", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVar(&from, "url", "", "where it is published, such as http://127.0.0.1:8080/v1/sales/first/draw")
	c.Flags().StringVar(&before, "before", "", "the same document, saved before the pot closed: what it promised must not have changed")
	c.RunE = func(c *cobra.Command, given []string) error {
		if (from == "") == (len(given) == 0) {
			return usage("`penstock draw verify draw.json`", "give a file or --url")
		}
		text, err := published(c.Context(), from, given)
		if err != nil {
			return err
		}
		var promised *draw.Documents
		if before != "" {
			if promised, err = savedDraw(before); err != nil {
				return err
			}
		}
		got, err := draw.Verify(text, promised)
		if errors.Is(err, draw.ErrNotDrawn) {
			return failed("save it again once the public value is known and `penstock draw value` has given it", "%s", why(err))
		}
		if errors.Is(err, draw.ErrDisagrees) {
			return failed("nothing that was published may be altered by a byte; save it as it came", "DISAGREES: %s", why(err))
		}
		if err != nil {
			return err
		}
		for _, d := range got.Draws {
			fmt.Fprintf(e.out, "agrees: sale %s, SKU %s: %d entrants, seed %s\n", printable(d.Sale), printable(d.SKU), len(d.Order), d.Seed)
		}
		return nil
	}
	return c
}

// why leaves out of a disagreement that it is one.
func why(err error) string {
	return printable(strings.TrimPrefix(err.Error(), draw.ErrDisagrees.Error()+": "))
}

// mostOfDraw bounds what is read of a published draw: a million entrants.
const mostOfDraw = 100 << 20

func published(ctx context.Context, from string, given []string) ([]byte, error) {
	if from == "" {
		text, err := os.ReadFile(given[0])
		if err != nil {
			return nil, usage("save it with curl", "%v", err)
		}
		return text, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, usage("for example http://127.0.0.1:8080/v1/sales/first/draw", "%v", err)
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return nil, failed("is the shop there?", "%w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostOfDraw))
	if err == nil && resp.StatusCode != http.StatusOK {
		var p problem
		if json.Unmarshal(text, &p) != nil || p.Detail == "" {
			p.Detail = fmt.Sprintf("%.300s", text)
		}
		err = usage("for example http://127.0.0.1:8080/v1/sales/first/draw", "GET %s answered %d: %s", printable(from), resp.StatusCode, printable(p.Detail))
	}
	return text, err
}

func drawValue() act {
	var value string
	return act{
		use: "value SALE", short: "give a sale's draws the public value they wait for, once the pot has closed", args: []string{"SALE"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&value, "value", "", "the value, as its source published it")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if value == "" {
				return usage("for example --value 8f2c…", "--value is needed")
			}
			c := call{method: http.MethodPost, path: salePath(given[0]) + "/draw", body: map[string]any{"value": value, "reason": o.reason}}
			return show(ctx, o, c, func(d draw.Documents) [][]string {
				rows := [][]string{{"SKU", "STATE", "ENTRANTS", "SEED"}}
				for _, one := range d.Draws {
					rows = append(rows, []string{one.SKU, one.State, strconv.Itoa(len(one.Entrants)), one.Seed})
				}
				return rows
			})
		},
	}
}

// savedDraw reads a document that was saved before the draw.
func savedDraw(path string) (*draw.Documents, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("save it with curl before the pot closes", "%v", err)
	}
	var d draw.Documents
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, usage("save it with curl before the pot closes", "%s is no draw: %v", path, err)
	}
	return &d, nil
}
