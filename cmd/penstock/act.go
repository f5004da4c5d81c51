package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

// act is one subcommand that calls the operator API: flags adds what it needs, run does it with the positional arguments.
type act struct {
	use, short string
	args       []string
	role       string // of the token that is made from the key ring; "" means operator
	flags      func(*cobra.Command)
	run        func(ctx context.Context, o *operator, given []string) error
}

func (a act) command(e *env) *cobra.Command {
	c := &cobra.Command{Use: a.use, Short: a.short, Args: args(a.args...)}
	o := addOperator(e, c)
	o.role = a.role
	if a.flags != nil {
		a.flags(c)
	}
	c.RunE = func(c *cobra.Command, given []string) error {
		if err := o.prepare(); err != nil {
			return err
		}
		return a.run(c.Context(), o, given)
	}
	return c
}

// show makes a call and writes its answer: as it is with --json, else as the rows that row makes of it.
func show[T any](ctx context.Context, o *operator, c call, rows func(T) [][]string) error {
	raw, _, err := o.do(ctx, c)
	if err != nil {
		return err
	}
	return present(o, raw, rows)
}

// remove makes a call whose answer is empty, and says what is gone.
func remove(ctx context.Context, o *operator, c call, what string) error {
	if _, _, err := o.do(ctx, c); err != nil {
		return err
	}
	if o.json {
		return writeJSON(o.e.out, map[string]string{"deleted": what})
	}
	_, err := fmt.Fprintf(o.e.out, "%s is deleted\n", printable(what))
	return err
}

func present[T any](o *operator, raw []byte, rows func(T) [][]string) error {
	if o.json {
		return writeRaw(o.e.out, raw)
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return failed("is the server of the same release?", "the answer cannot be read: %w", err)
	}
	return table(o.e.out, rows(v))
}

// page is one page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
	// Missing are databases that did not answer.
	Missing []int `json:"missing"`
}

// note tells on standard error that there is more, and what should be there and is not.
func (p page[T]) note(o *operator) {
	if p.Next != "" {
		fmt.Fprintf(o.e.err, "there is more: --cursor %s\n", printable(p.Next))
	}
	if len(p.Missing) > 0 {
		fmt.Fprintf(o.e.err, "databases %v did not answer: what they have is missing here\n", p.Missing)
	}
}

// freshKey returns a new Idempotency-Key header, or the one given, as the structured-field string that it is on the wire.
func freshKey(given string) map[string]string {
	if given == "" {
		given = "cli-" + rand.Text()
	}
	return map[string]string{"Idempotency-Key": strconv.Quote(given)}
}

// reasonFlag adds --reason, which the audit trail keeps.
func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why, for the audit trail")
}

func wantReason(reason string) error {
	if reason == "" {
		return usage("for example --reason 'agreed with the shop'", "--reason is missing: the audit trail wants to know why")
	}
	return nil
}

// money writes minor units with their currency; how many decimals a currency has is not for us to guess.
func money(amount int64, currency string) string {
	return strconv.FormatInt(amount, 10) + " " + currency
}
