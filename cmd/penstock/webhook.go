package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const hooksPath = "/admin/v1/webhooks"

// hookView is what of an endpoint a shell shows.
type hookView struct {
	ID, URL, Description, Why, Secret string
	Events                            []string
	Rate, Concurrency                 int
	Enabled                           bool
	FailingSince, PausedUntil         *time.Time
}

func hookRows(all []hookView) [][]string {
	rows := [][]string{{"ENDPOINT", "STATE", "EVENTS", "RATE", "AT A TIME", "URL", "WHY"}}
	for _, h := range all {
		state := "enabled"
		switch {
		case !h.Enabled:
			state = "disabled"
		case h.FailingSince != nil:
			state = "failing since " + h.FailingSince.Format(time.RFC3339)
		}
		rows = append(rows, []string{h.ID, state, strings.Join(h.Events, ","), strconv.Itoa(h.Rate) + "/s", strconv.Itoa(h.Concurrency), h.URL, h.Why})
	}
	return rows
}

func oneHook(h hookView) [][]string {
	rows := hookRows([]hookView{h})
	if h.Secret != "" {
		rows = append(rows, nil, []string{"secret", h.Secret, "shown this one time"})
	}
	return rows
}

// deliveryView is what of a delivery a shell shows.
type deliveryView struct {
	ID, Event, Type, User, State, Error string
	Tries, Status                       int
	NextAt                              *time.Time
}

func deliveryRows(all []deliveryView) [][]string {
	rows := [][]string{{"DELIVERY", "STATE", "TYPE", "USER", "TRIES", "STATUS", "NEXT", "EVENT", "ERROR"}}
	for _, d := range all {
		next := ""
		if d.NextAt != nil {
			next = d.NextAt.Format(time.RFC3339)
		}
		rows = append(rows, []string{d.ID, d.State, d.Type, d.User, strconv.Itoa(d.Tries), strconv.Itoa(d.Status), next, d.Event, d.Error})
	}
	return rows
}

func hookPath(id string) string { return hooksPath + "/" + url.PathEscape(id) }

func newWebhook(e *env) *cobra.Command {
	var health string
	all := act{use: "list", short: "list the endpoints", flags: func(c *cobra.Command) {
		c.Flags().StringVar(&health, "health", "", "only those that are working, failing or disabled")
	}, run: func(ctx context.Context, o *operator, _ []string) error {
		query := url.Values{}
		if health != "" {
			query.Set("health", health)
		}
		return show(ctx, o, call{method: http.MethodGet, path: hooksPath, query: query}, func(p page[hookView]) [][]string { return hookRows(p.Items) })
	}}
	one := act{use: "show ENDPOINT", short: "look at an endpoint", args: []string{"ENDPOINT"}, run: func(ctx context.Context, o *operator, given []string) error {
		return show(ctx, o, call{method: http.MethodGet, path: hookPath(given[0])}, oneHook)
	}}
	return group("webhook", "outgoing webhooks: endpoints, secrets, deliveries", all.command(e), one.command(e), createHook().command(e), changeHook().command(e), deleteHook().command(e),
		hookAct("enable", "deliver to an endpoint again", oneHook).command(e), hookAct("disable", "deliver nothing to an endpoint", oneHook).command(e),
		rotateHook().command(e), hookAct("ping", "send a test event and tell what came of it", pingRows).command(e), listDeliveries().command(e), replayHook().command(e))
}

// hookDefinition are the flags that create and change have in common.
func hookDefinition(c *cobra.Command) func() map[string]any {
	target := c.Flags().String("to", "", "https URL that takes the events")
	events := c.Flags().StringSlice("events", nil, "types wanted, such as stock.sold,stock.released or *")
	description := c.Flags().String("description", "", "what it is for")
	rate := c.Flags().Int("rate", 0, "most deliveries a second")
	concurrency := c.Flags().Int("concurrency", 0, "most deliveries at a time")
	return func() map[string]any {
		body := map[string]any{}
		for name, v := range map[string]any{"events": *events, "description": *description, "rate": *rate, "concurrency": *concurrency} {
			if c.Flags().Changed(name) {
				body[name] = v
			}
		}
		if *target != "" {
			body["url"] = *target
		}
		return body
	}
}

func createHook() act {
	var body func() map[string]any
	return act{
		use: "create", short: "add an endpoint and show its secret",
		flags: func(c *cobra.Command) { body = hookDefinition(c) },
		run: func(ctx context.Context, o *operator, _ []string) error {
			b := body()
			if b["url"] == nil || b["events"] == nil {
				return usage("for example --to https://example.com/hooks --events 'stock.*'", "--to and --events are needed")
			}
			return show(ctx, o, call{method: http.MethodPost, path: hooksPath, body: b}, oneHook)
		},
	}
}

func changeHook() act {
	var body func() map[string]any
	var reason string
	return act{
		use: "change ENDPOINT", short: "change an endpoint; what is not named stays", args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) { body = hookDefinition(c); reasonFlag(c, &reason) },
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			b := body()
			b["reason"] = reason
			return show(ctx, o, call{method: http.MethodPatch, path: hookPath(given[0]), body: b}, oneHook)
		},
	}
}

func deleteHook() act {
	var reason string
	return act{
		use: "delete ENDPOINT", short: "remove an endpoint with its deliveries", args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) { reasonFlag(c, &reason) },
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			return remove(ctx, o, call{method: http.MethodDelete, path: hookPath(given[0]), query: url.Values{"reason": {reason}}}, given[0])
		},
	}
}

// hookAct is an act on an endpoint that takes a reason.
func hookAct[T any](name, short string, rows func(T) [][]string) act {
	var reason string
	return act{
		use: name + " ENDPOINT", short: short, args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) { reasonFlag(c, &reason) },
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: hookPath(given[0]) + "/" + name, body: map[string]string{"reason": reason}}, rows)
		},
	}
}

func pingRows(p struct {
	Taken  bool
	Status int
	Error  string
	TookMS float64
}) [][]string {
	return [][]string{{"TAKEN", "STATUS", "TOOK", "ERROR"}, {strconv.FormatBool(p.Taken), strconv.Itoa(p.Status), strconv.FormatFloat(p.TookMS, 'f', 1, 64) + " ms", p.Error}}
}

func rotateHook() act {
	var reason string
	var overlap time.Duration
	return act{
		use: "rotate ENDPOINT", short: "make a new secret and show it; the old one signs beside it for a while", args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) {
			reasonFlag(c, &reason)
			c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old secret still signs")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			return show(ctx, o, call{method: http.MethodPost, path: hookPath(given[0]) + "/rotate", body: map[string]any{"overlapSeconds": int64(overlap.Seconds()), "reason": reason}}, oneHook)
		},
	}
}

func listDeliveries() act {
	var query func() url.Values
	var state string
	return act{
		use: "deliveries ENDPOINT", short: "list deliveries, oldest first", args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) {
			query = pages(c)
			c.Flags().StringVar(&state, "state", "", "waiting, due, delivered or given-up")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			q := query()
			if state != "" {
				q.Set("state", state)
			}
			return show(ctx, o, call{method: http.MethodGet, path: hookPath(given[0]) + "/deliveries", query: q}, func(p page[deliveryView]) [][]string {
				p.note(o)
				return deliveryRows(p.Items)
			})
		},
	}
}

func replayHook() act {
	var reason, delivery, since string
	var delivered bool
	return act{
		use: "replay ENDPOINT", short: "make one delivery again, or all since a time", args: []string{"ENDPOINT"},
		flags: func(c *cobra.Command) {
			reasonFlag(c, &reason)
			c.Flags().StringVar(&delivery, "delivery", "", "number of one delivery")
			c.Flags().StringVar(&since, "since", "", "RFC 3339 time: what was missed or given up since")
			c.Flags().BoolVar(&delivered, "delivered", false, "with --since, also what was taken")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			if (delivery == "") == (since == "") {
				return usage("for example --since 2026-11-11T00:00:00Z", "name either --delivery or --since")
			}
			if delivery != "" {
				path := hookPath(given[0]) + "/deliveries/" + url.PathEscape(delivery) + "/replay"
				return show(ctx, o, call{method: http.MethodPost, path: path, body: map[string]string{"reason": reason}}, func(d deliveryView) [][]string { return deliveryRows([]deliveryView{d}) })
			}
			body := map[string]any{"since": since, "delivered": delivered, "reason": reason}
			return show(ctx, o, call{method: http.MethodPost, path: hookPath(given[0]) + "/replay", body: body}, func(p struct{ Queued int }) [][]string {
				return [][]string{{"QUEUED"}, {strconv.Itoa(p.Queued)}}
			})
		},
	}
}
