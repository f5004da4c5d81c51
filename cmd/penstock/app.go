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

const appsPath = "/admin/v1/apps"

// appView is what of an app a shell shows.
type appView struct {
	ID, Name, Description, Why string
	APIs                       []string
	PerMinute, PerDay          int
	Enabled, Sandbox           bool
	Secrets                    []appSecretView
}

type appSecretView struct {
	ID, Use, Secret string
	CreatedAt       time.Time
	Until           *time.Time
}

func appRows(all []appView) [][]string {
	rows := [][]string{{"APP", "NAME", "STATE", "APIS", "A MINUTE", "A DAY", "WHY"}}
	for _, a := range all {
		state := "enabled"
		if !a.Enabled {
			state = "disabled"
		}
		if a.Sandbox {
			state += ", sandbox"
		}
		rows = append(rows, []string{a.ID, a.Name, state, strings.Join(a.APIs, ","), quota(a.PerMinute), quota(a.PerDay), a.Why})
	}
	return rows
}

// quota writes a number of calls; 0 is what the rule for all apps says.
func quota(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func oneApp(a appView) [][]string {
	rows := append(appRows([]appView{a}), nil, []string{"SECRET", "USE", "CREATED", "UNTIL", ""})
	for _, s := range a.Secrets {
		until, text := "", ""
		if s.Until != nil {
			until = s.Until.Format(time.RFC3339)
		}
		if s.Secret != "" {
			text = s.Secret + "  shown this one time"
		}
		rows = append(rows, []string{s.ID, s.Use, s.CreatedAt.Format(time.RFC3339), until, text})
	}
	return rows
}

func appPath(id string) string { return appsPath + "/" + url.PathEscape(id) }

func newApp(e *env) *cobra.Command {
	all := act{use: "list", short: "list the apps", run: func(ctx context.Context, o *operator, _ []string) error {
		return list(ctx, o, call{path: appsPath}, appRows)
	}}
	plain := func(name, short string) *cobra.Command {
		return verb(name, "APP", short, below(appPath, name), oneApp).command(e)
	}
	return group("app", "third-party apps: permissions, secrets, quotas", all.command(e), look("APP", "look at an app", appPath, oneApp).command(e),
		createApp().command(e), change("APP", "change an app; what is not named stays", appPath, appDefinition, oneApp).command(e),
		plain("enable", "let an app call again"), plain("disable", "refuse an app, its signatures and its tokens"),
		rotateApp().command(e), endAppSecret().command(e), erase("APP", "remove an app for good; its orders stay", appPath).command(e))
}

// appDefinition adds the flags that create and change have in common; what it returns has the fields that were given.
func appDefinition(c *cobra.Command) func() map[string]any {
	name := c.Flags().String("name", "", "what it is called")
	description := c.Flags().String("description", "", "what it is for")
	apis := c.Flags().StringSlice("apis", nil, "what it may call, such as sales.read,orders.write")
	minute := c.Flags().Int("per-minute", 0, "most calls a minute; 0 means as the rule for all apps says")
	day := c.Flags().Int("per-day", 0, "most calls a day; 0 means as the rule for all apps says")
	return func() map[string]any {
		body := map[string]any{}
		for flag, v := range map[string]struct {
			field string
			value any
		}{"name": {"name", *name}, "description": {"description", *description}, "apis": {"apis", *apis}, "per-minute": {"perMinute", *minute}, "per-day": {"perDay", *day}} {
			if c.Flags().Changed(flag) {
				body[v.field] = v.value
			}
		}
		return body
	}
}

func createApp() act {
	var body func() map[string]any
	var sandbox bool
	return act{
		use: "create", short: "add an app and show its secrets",
		flags: func(c *cobra.Command) {
			body = appDefinition(c)
			c.Flags().BoolVar(&sandbox, "sandbox", false, "let it reach sandbox sales and the sandbox payment only; cannot be changed")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			b := body()
			if b["name"] == nil || b["apis"] == nil {
				return usage("for example --name acme --apis sales.read,orders.write", "--name and --apis are needed")
			}
			b["sandbox"] = sandbox
			return show(ctx, o, call{method: http.MethodPost, path: appsPath, body: b}, oneApp)
		},
	}
}

func rotateApp() act {
	var use string
	var overlap time.Duration
	return act{
		use: "rotate APP", short: "make a new secret and show it; the one before lives on beside it for a while", args: []string{"APP"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&use, "use", "", "which secret: signing or oauth2")
			c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the secret before lives on")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			if use != "signing" && use != "oauth2" {
				return usage("for example --use signing", "--use must be signing or oauth2")
			}
			body := map[string]any{"use": use, "overlapSeconds": int64(overlap.Seconds()), "reason": o.reason}
			return show(ctx, o, call{method: http.MethodPost, path: appPath(given[0]) + "/rotate", body: body}, oneApp)
		},
	}
}

func endAppSecret() act {
	return act{
		use: "end-secret APP SECRET", short: "end a secret now, and the tokens issued for it", args: []string{"APP", "SECRET"},
		reason: needed,
		run: func(ctx context.Context, o *operator, given []string) error {
			path := appPath(given[0]) + "/secrets/" + url.PathEscape(given[1])
			return show(ctx, o, call{method: http.MethodDelete, path: path, query: url.Values{"reason": {o.reason}}}, oneApp)
		},
	}
}
