package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/statement"
)

func newStatement(e *env) *cobra.Command {
	return group("statement", "what a provider says it moved: check", checkStatement().command(e))
}

func checkStatement() act {
	var file, provider, day string
	var apply bool
	return act{
		use: "check", short: "compare a provider's daily statement with our ledger; exit 1 when they differ",
		flags: func(c *cobra.Command) {
			c.Flags().StringVarP(&file, "file", "f", "", "CSV with a header, or NDJSON; - is standard input")
			c.Flags().StringVar(&provider, "provider", "sandbox", "whose statement it is")
			c.Flags().StringVar(&day, "day", "", "its day in UTC, such as 2026-11-11; without one nothing is looked for that the statement lacks")
			c.Flags().BoolVar(&apply, "apply", false, "learn from lines that were not heard of: bank transfers are booked, other providers asked")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			opt := statement.Options{Provider: provider}
			if day != "" {
				var err error
				if opt.Day, err = time.Parse(time.DateOnly, day); err != nil {
					return usage("for example --day 2026-11-11", "--day %q is not a day", day)
				}
			}
			in, err := openStatement(o, file)
			if err != nil {
				return err
			}
			defer in.Close()
			return o.compare(ctx, remoteLedger{o, apply}, opt, in)
		},
	}
}

func openStatement(o *operator, file string) (io.ReadCloser, error) {
	switch file {
	case "":
		return nil, usage("for example -f statement.csv, or -f - for standard input", "-f is missing")
	case "-":
		return io.NopCloser(o.e.in), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("-f names a file that can be read", "the statement cannot be read: %w", err)
	}
	return f, nil
}

// compare writes each difference as it is found, a line of NDJSON with --json, and the sums at the end.
func (o *operator) compare(ctx context.Context, l statement.Ledger, opt statement.Options, in io.Reader) error {
	enc := json.NewEncoder(o.e.out)
	total, err := statement.Check(ctx, l, opt, in, func(d statement.Difference) error {
		if o.json {
			return enc.Encode(d)
		}
		_, err := fmt.Fprintf(o.e.out, "%s %s %s: here %s, there %s\n    %s\n", printable(d.Kind), d.Type, printable(d.Ref), printable(d.Here), printable(d.There), d.Do)
		return err
	})
	if err != nil {
		if _, coded := errors.AsType[*failure](err); coded {
			return err
		}
		return failed("the fields are type, ref, payment, refund, amount, currency, state, at", "the statement was not compared to its end: %w", err)
	}
	if o.json {
		err = enc.Encode(map[string]statement.Totals{"totals": total})
	} else {
		_, err = fmt.Fprintf(o.e.out, "%d lines, %d differences\nstatement: captured %v, refunded %v\nour day:   captured %v, refunded %v\n", total.Lines, total.Differences,
			total.There.Captured, total.There.Refunded, total.Here.Captured, total.Here.Refunded)
	}
	if err == nil && total.Differences > 0 {
		err = failed("each difference says what to do", "%d difference(s)", total.Differences)
	}
	return err
}

// remoteLedger is the ledger behind the operator API.
type remoteLedger struct {
	o     *operator
	apply bool
}

// Compare sends a page of lines.
func (r remoteLedger) Compare(ctx context.Context, provider string, lines []statement.Line) ([]statement.Difference, error) {
	raw, _, err := r.o.do(ctx, call{method: http.MethodPost, path: "/admin/v1/statements", body: map[string]any{"provider": provider, "lines": lines, "apply": r.apply}})
	if err != nil {
		return nil, err
	}
	var p page[statement.Difference]
	err = json.Unmarshal(raw, &p)
	return p.Items, err
}

// Moved reads a page of the day's ledger.
func (r remoteLedger) Moved(ctx context.Context, s payment.Span) ([]payment.Money, error) {
	q := url.Values{"provider": {s.Provider}, "day": {s.From.Format(time.DateOnly)}, "limit": {strconv.Itoa(s.Limit)}}
	if s.After > 0 {
		q.Set("cursor", strconv.FormatInt(s.After, 10))
	}
	raw, _, err := r.o.do(ctx, call{method: http.MethodGet, path: "/admin/v1/ledger", query: q})
	if err != nil {
		return nil, err
	}
	var p page[struct {
		Provider, Type, Ref, Payment, Currency, Seq string
		Amount                                      int64
		At                                          time.Time
	}]
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	all := make([]payment.Money, 0, len(p.Items))
	for _, m := range p.Items {
		seq, err1 := strconv.ParseInt(m.Seq, 10, 64)
		id, err2 := ident.Parse(m.Payment)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		all = append(all, payment.Money{Seq: seq, Provider: m.Provider, Kind: m.Type, Ref: m.Ref, Payment: id, Amount: m.Amount, Currency: m.Currency, At: m.At})
	}
	return all, nil
}
