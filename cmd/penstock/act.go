package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// act is one subcommand that calls the operator API: flags adds what it needs, run does it with the positional arguments.
type act struct {
	use, short string
	args       []string
	role       string // of the token that is made from the key ring; "" means operator
	reason     reason
	flags      func(*cobra.Command)
	run        func(ctx context.Context, o *operator, given []string) error
}

// reason says whether an act takes --reason, which the audit trail keeps; run finds it in operator.reason.
type reason int

const (
	without reason = iota
	allowed        // run may still ask for it, with wantReason
	needed
)

func (a act) command(e *env) *cobra.Command {
	c := &cobra.Command{Use: a.use, Short: a.short, Args: args(a.args...)}
	o := addOperator(e, c)
	o.role = a.role
	if a.reason != without {
		c.Flags().StringVar(&o.reason, "reason", "", "why, for the audit trail")
	}
	if a.flags != nil {
		a.flags(c)
	}
	c.RunE = func(c *cobra.Command, given []string) error {
		if err := o.prepare(); err != nil {
			return err
		}
		if a.reason == needed {
			if err := o.wantReason(); err != nil {
				return err
			}
		}
		return a.run(c.Context(), o, given)
	}
	return c
}

func (o *operator) wantReason() error {
	if o.reason == "" {
		return usage("for example --reason 'agreed with the shop'", "--reason is missing: the audit trail wants to know why")
	}
	return nil
}

// look is the act "show THING".
func look[T any](thing, short string, path func(id string) string, rows func(T) [][]string) act {
	return act{use: "show " + thing, short: short, args: []string{thing}, run: func(ctx context.Context, o *operator, given []string) error {
		return show(ctx, o, call{method: http.MethodGet, path: path(given[0])}, rows)
	}}
}

// verb is an act on one thing that needs a reason and nothing else; it is posted to the path.
func verb[T any](name, thing, short string, path func(id string) string, rows func(T) [][]string) act {
	return act{use: name + " " + thing, short: short, args: []string{thing}, reason: needed, run: func(ctx context.Context, o *operator, given []string) error {
		return show(ctx, o, call{method: http.MethodPost, path: path(given[0]), body: map[string]string{"reason": o.reason}}, rows)
	}}
}

// change is an act that patches one thing with the fields that definition's flags were given for.
func change[T any](thing, short string, path func(id string) string, definition func(*cobra.Command) func() map[string]any, rows func(T) [][]string) act {
	var fields func() map[string]any
	return act{
		use: "change " + thing, short: short, args: []string{thing}, reason: needed,
		flags: func(c *cobra.Command) { fields = definition(c) },
		run: func(ctx context.Context, o *operator, given []string) error {
			body := fields()
			body["reason"] = o.reason
			return show(ctx, o, call{method: http.MethodPatch, path: path(given[0]), body: body}, rows)
		},
	}
}

// erase is the act "delete THING".
func erase(thing, short string, path func(id string) string) act {
	return act{use: "delete " + thing, short: short, args: []string{thing}, reason: needed, run: func(ctx context.Context, o *operator, given []string) error {
		return remove(ctx, o, call{method: http.MethodDelete, path: path(given[0]), query: url.Values{"reason": {o.reason}}}, given[0])
	}}
}

// below returns the path of what lies below a thing.
func below(path func(id string) string, name string) func(id string) string {
	return func(id string) string { return path(id) + "/" + name }
}

// show makes a call and writes its answer: as it is with --json, else as the rows that row makes of it.
func show[T any](ctx context.Context, o *operator, c call, rows func(T) [][]string) error {
	raw, _, err := o.do(ctx, c)
	if err != nil {
		return err
	}
	return present(o, raw, rows)
}

// list makes a call whose answer is a page, writes its items as show does, and tells of more.
func list[T any](ctx context.Context, o *operator, c call, rows func([]T) [][]string) error {
	c.method = http.MethodGet
	return show(ctx, o, c, func(p page[T]) [][]string {
		p.note(o)
		return rows(p.Items)
	})
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

// money writes minor units with their currency; how many decimals a currency has is not for us to guess.
func money(amount int64, currency string) string {
	return strconv.FormatInt(amount, 10) + " " + currency
}
