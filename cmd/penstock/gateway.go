package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"penstock/app"
)

const gatewayPath = "/admin/v1/gateway"

// policyView is what of the policy in use a shell shows.
type policyView struct {
	File, Hash, LoadedAt, LastError string
	Version                         int
	Routes                          []struct {
		Route, Access, Class, Breaker string
		Off, APIs, Limits             []string
	}
	Breakers map[string]breakerView
	Shedding *struct{ Limit, Running, Queued int64 }
}

// breakerView is a breaker as a shell shows it.
type breakerView struct {
	Breaker, State string
	Forced         bool
}

func (b breakerView) String() string {
	if b.Forced {
		return b.State + ", tripped by hand until it is reset"
	}
	return b.State
}

func policyRows(v policyView) [][]string {
	if v.File == "" {
		v.File = "built in"
	}
	rows := [][]string{{"policy", v.File}, {"version", strconv.Itoa(v.Version)}, {"hash", v.Hash}, {"loaded", v.LoadedAt}}
	if v.LastError != "" {
		rows = append(rows, []string{"not in use", v.LastError})
	}
	for _, name := range slices.Sorted(maps.Keys(v.Breakers)) {
		rows = append(rows, []string{"breaker " + name, v.Breakers[name].String()})
	}
	if s := v.Shedding; s != nil {
		rows = append(rows, []string{"shedding", fmt.Sprintf("%d of at most %d run, %d wait", s.Running, s.Limit, s.Queued)})
	}
	rows = append(rows, nil, []string{"ROUTE", "FOR", "CLASS", "LIMITS", "APIS", "BREAKER", "OFF"})
	for _, r := range v.Routes {
		rows = append(rows, []string{r.Route, r.Access, r.Class, strings.Join(r.Limits, ","), strings.Join(r.APIs, ","), r.Breaker, strings.Join(r.Off, ",")})
	}
	return rows
}

// explanation is what the stages say to a call.
type explanation struct {
	Route, Access, User, App, Summary string
	Stages                            []struct {
		Stage, Verdict, Detail, Problem string
		Status                          int
	}
}

func explanationRows(x explanation) [][]string {
	rows := [][]string{{"STAGE", "SAYS", "DETAIL"}}
	for _, s := range x.Stages {
		detail := s.Detail
		if s.Problem != "" {
			detail = strconv.Itoa(s.Status) + " " + s.Problem + ": " + detail
		}
		rows = append(rows, []string{s.Stage, s.Verdict, detail})
	}
	return append(rows, nil, []string{"route", x.Route}, []string{"for", x.Access}, []string{"verdict", x.Summary})
}

func newGateway(e *env) *cobra.Command {
	look := act{use: "show", short: "look at the policy in use", run: func(ctx context.Context, o *operator, _ []string) error {
		return show(ctx, o, call{method: http.MethodGet, path: gatewayPath}, policyRows)
	}}
	return group("gateway", "the policy of the public listener: who gets in, how fast, in what order", look.command(e), reloadGateway().command(e),
		forceBreaker("trip", "stop all calls that a breaker guards, in this process, until it is reset").command(e),
		forceBreaker("reset", "close a breaker, in this process; it counts anew").command(e), explainCall().command(e), checkPolicy(e))
}

func reloadGateway() act {
	return act{
		use: "reload", short: "read the policy file again; a bad file changes nothing",
		reason: allowed,
		run: func(ctx context.Context, o *operator, _ []string) error {
			return show(ctx, o, call{method: http.MethodPost, path: gatewayPath + "/reload", body: map[string]string{"reason": o.reason}}, policyRows)
		},
	}
}

func forceBreaker(action, short string) act {
	return act{
		use: action + " BREAKER", short: short, args: []string{"BREAKER"}, reason: needed,
		run: func(ctx context.Context, o *operator, given []string) error {
			path := gatewayPath + "/breakers/" + url.PathEscape(given[0])
			return show(ctx, o, call{method: http.MethodPost, path: path, body: map[string]string{"action": action, "reason": o.reason}}, func(b breakerView) [][]string {
				return [][]string{{"breaker " + b.Breaker, b.State}}
			})
		},
	}
}

func explainCall() act {
	var as, from string
	return act{
		use: "explain METHOD PATH", short: "tell what each stage says to a call, without executing or counting it", args: []string{"METHOD", "PATH"},
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&as, "as", "", "bearer token or pass of the caller; nobody's call without")
			c.Flags().StringVar(&from, "from", "", "address of the client, such as 203.0.113.7")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			body := map[string]string{"method": strings.ToUpper(given[0]), "path": given[1]}
			for name, v := range map[string]string{"token": as, "from": from} {
				if v != "" {
					body[name] = v
				}
			}
			return show(ctx, o, call{method: http.MethodPost, path: gatewayPath + "/explain", body: body}, explanationRows)
		},
	}
}

// checkPolicy judges a file without a server.
func checkPolicy(e *env) *cobra.Command {
	c := &cobra.Command{Use: "check FILE", Short: "say whether a policy file is good, without a server", Args: args("FILE")}
	s := addSettings(e, c)
	c.RunE = func(_ *cobra.Command, given []string) error {
		cfg, err := s.load()
		if err != nil {
			return err
		}
		cfg.Gateway.File = given[0] // files that it names are beside it
		text, err := os.ReadFile(given[0])
		if err != nil {
			return usage("name a policy file; docs/gateway.md shows one", "%w", err)
		}
		if err := app.PolicyRooms(cfg).Check(text); err != nil {
			return usage("docs/gateway.md tells what may stand there", "%s: %w", given[0], err)
		}
		_, err = fmt.Fprintf(e.out, "%s is good\n", given[0])
		return err
	}
	return c
}

// onHangup reads the policy again at each SIGHUP. release gives the signal back.
func onHangup(e *env, a *app.App) (release func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-signals:
				if err := a.ReloadGateway(); err != nil {
					fmt.Fprintln(e.err, "penstock: the policy stays as it is:", err)
				}
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}
