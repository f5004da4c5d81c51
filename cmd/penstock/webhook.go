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
		set(query, "health", health)
		return list(ctx, o, call{path: hooksPath, query: query}, hookRows)
	}}
	return group("webhook", "outgoing webhooks: endpoints, secrets, deliveries", all.command(e), look("ENDPOINT", "look at an endpoint", hookPath, oneHook).command(e),
		createHook().command(e), change("ENDPOINT", "change an endpoint; what is not named stays", hookPath, hookDefinition, oneHook).command(e),
		erase("ENDPOINT", "remove an endpoint with its deliveries", hookPath).command(e),
		verb("enable", "ENDPOINT", "deliver to an endpoint again", below(hookPath, "enable"), oneHook).command(e),
		verb("disable", "ENDPOINT", "deliver nothing to an endpoint", below(hookPath, "disable"), oneHook).command(e),
		rotateHook().command(e), verb("ping", "ENDPOINT", "send a test event and tell what came of it", below(hookPath, "ping"), pingRows).command(e),
		listDeliveries().command(e), replayHook().command(e))
}

// hookDefinition adds the flags that create and change have in common; what it returns has the fields that were given.
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

func pingRows(p struct {
	Taken  bool
	Status int
	Error  string
	TookMS float64
}) [][]string {
	return [][]string{{"TAKEN", "STATUS", "TOOK", "ERROR"}, {strconv.FormatBool(p.Taken), strconv.Itoa(p.Status), strconv.FormatFloat(p.TookMS, 'f', 1, 64) + " ms", p.Error}}
}

func rotateHook() act {
	var overlap time.Duration
	return act{
		use: "rotate ENDPOINT", short: "make a new secret and show it; the old one signs beside it for a while", args: []string{"ENDPOINT"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old secret still signs")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			return show(ctx, o, call{method: http.MethodPost, path: hookPath(given[0]) + "/rotate", body: map[string]any{"overlapSeconds": int64(overlap.Seconds()), "reason": o.reason}}, oneHook)
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
			set(q, "state", state)
			return list(ctx, o, call{path: hookPath(given[0]) + "/deliveries", query: q}, deliveryRows)
		},
	}
}

func replayHook() act {
	var delivery, since string
	var delivered bool
	return act{
		use: "replay ENDPOINT", short: "make one delivery again, or all since a time", args: []string{"ENDPOINT"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&delivery, "delivery", "", "number of one delivery")
			c.Flags().StringVar(&since, "since", "", "RFC 3339 time: what was missed or given up since")
			c.Flags().BoolVar(&delivered, "delivered", false, "with --since, also what was taken")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if (delivery == "") == (since == "") {
				return usage("for example --since 2026-11-11T00:00:00Z", "name either --delivery or --since")
			}
			if delivery != "" {
				path := hookPath(given[0]) + "/deliveries/" + url.PathEscape(delivery) + "/replay"
				return show(ctx, o, call{method: http.MethodPost, path: path, body: map[string]string{"reason": o.reason}}, func(d deliveryView) [][]string { return deliveryRows([]deliveryView{d}) })
			}
			body := map[string]any{"since": since, "delivered": delivered, "reason": o.reason}
			return show(ctx, o, call{method: http.MethodPost, path: hookPath(given[0]) + "/replay", body: body}, func(p struct{ Queued int }) [][]string {
				return [][]string{{"QUEUED"}, {strconv.Itoa(p.Queued)}}
			})
		},
	}
}
