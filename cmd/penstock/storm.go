package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"penstock/auth"
	"penstock/check"
	"penstock/config"
	"penstock/order/shard"
	"penstock/storm"
	stormpage "penstock/storm/page"
	"penstock/storm/screen"
)

// stormFlags are the flags that storm.Config does not take as they are.
type stormFlags struct {
	cfg                            storm.Config
	tokens, json, report, outcomes string
}

func newStorm(e *env) *cobra.Command {
	var f stormFlags
	c := &cobra.Command{
		Use:   "storm --url U --admin-url A --sale S",
		Short: "drive an open-loop stampede of buyers and judge the server by what they were told",
		Long: "Buyers arrive by a schedule that does not wait for answers. They click twice, ask again, pay, cancel or walk away; each call is\n" +
			"logged before and after. Then unknowns are settled and the history is held against what the server shows.\n" +
			"Tokens come from --tokens (one a line, as `penstock token --count N` prints them) or are made from the key ring in --data.",
		Args: args(),
	}
	o := addOperator(e, c)
	jsonFile(c, &f.json)
	c.Flags().Lookup("url").Usage = "public listener, where the buyers go"
	c.Flags().Lookup("token").Usage = "operator token for the admin listener (PENSTOCK_TOKEN; else one is made from the key ring in the data directory)"
	stormShares(c, &f)
	w := &f.cfg
	c.Flags().StringVar(&w.AdminURL, "admin-url", "", "admin listener, for stock and exports")
	c.Flags().StringVar(&w.Sale, "sale", "", "the sale's id")
	c.Flags().StringVar(&w.SKU, "sku", "", "what to buy; by default the sale's items in turn")
	c.Flags().Int64Var(&w.Quantity, "quantity", 1, "units per attempt")
	c.Flags().Float64Var(&w.Rate, "rate", 2000, "arrivals per second")
	c.Flags().DurationVar(&w.For, "for", 0, "how long they arrive; 0 means until every user has come once")
	c.Flags().IntVar(&w.Users, "users", 10_000, "identities; more arrivals than users come again with new keys")
	c.Flags().BoolVar(&w.Constant, "constant", false, "arrivals at even distances instead of a Poisson process")
	c.Flags().Int64Var(&w.Seed, "seed", 0, "decides everything that is drawn; 0 takes one from the clock and prints it")
	c.Flags().DurationVar(&w.Linger, "linger", 5*time.Second, "how long patient buyers go on after the last arrival")
	c.Flags().DurationVar(&w.Settle, "settle", 30*time.Second, "how long to ask about unknowns")
	c.Flags().DurationVar(&w.Timeout, "timeout", 5*time.Second, "how long a buyer waits for an answer")
	c.Flags().IntVar(&w.Conns, "conns", 256, "connections")
	c.Flags().BoolVar(&w.Bind, "bind", false, "give each connection a source address 127.x.y.z (loopback targets only)")
	c.Flags().StringVar(&f.tokens, "tokens", "", "file with a bearer token a line")
	c.Flags().StringVar(&w.History, "history", "", "keep the history in this file")
	c.Flags().StringVar(&f.report, "report", "", "write the report as one HTML page to this file")
	c.RunE = func(c *cobra.Command, _ []string) error { return runStorm(c.Context(), e, o, &f) }
	return c
}

// stormShares are the flags about what buyers do; a demo has them too.
func stormShares(c *cobra.Command, f *stormFlags) {
	w := &f.cfg
	c.Flags().Float64Var(&w.Pay, "pay", 0.8, "share of winners who pay")
	c.Flags().Float64Var(&w.Cancel, "cancel", 0.1, "share of winners who cancel; the rest walk away")
	c.Flags().Float64Var(&w.Retry, "retry", 1, "share of buyers who ask again with the same key until the answer is final")
	c.Flags().Float64Var(&w.Double, "double", 0.05, "share of buyers who click twice")
	c.Flags().Float64Var(&w.Pass, "pass", 0.9, "share of users who exchange their token for a pass beforehand")
	c.Flags().StringVar(&f.outcomes, "outcomes", "", "what the sandbox provider does, by weight, for example capture=90,fail=4,duplicate=3,reorder=3")
}

func runStorm(ctx context.Context, e *env, o *operator, f *stormFlags) error {
	cfg, err := o.s.load()
	if err != nil {
		return err
	}
	w := &f.cfg
	if w.URL = strings.TrimRight(o.url, "/"); w.URL == "" || w.AdminURL == "" || w.Sale == "" {
		return usage("for example `penstock storm --url http://127.0.0.1:8080 --admin-url http://127.0.0.1:8081 --sale s1 --data ./data`", "--url, --admin-url and --sale must be given")
	}
	if o.token == "" {
		o.token = e.variable("PENSTOCK_TOKEN")
	}
	if o.token == "" {
		o.url = strings.TrimRight(w.AdminURL, "/")
		if err := o.mint(cfg); err != nil {
			return err
		}
	}
	if w.AdminToken = o.token; f.cfg.Seed == 0 {
		w.Seed = time.Now().UnixMicro()
	}
	if _, bad := os.Stat(ringPath(cfg)); bad != nil && f.tokens == "" {
		if err := o.knock(w.URL); err != nil {
			return err
		}
	}
	if w.Identity, err = identities(e, cfg, f.tokens, &w.Users); err != nil {
		return err
	}
	if err := f.finish(); err != nil {
		return err
	}
	rep, err := stampede(ctx, e, *w)
	if err != nil {
		return explain(err)
	}
	return f.conclude(e, &rep)
}

// finish fills in what is not a flag's own value, and validates.
func (f *stormFlags) finish() error {
	outcomes, err := weights(f.outcomes)
	if err != nil {
		return err
	}
	for _, path := range []string{f.json, f.report, f.cfg.History} {
		if err := placeFor(path); err != nil {
			return err
		}
	}
	f.cfg.Outcomes, f.cfg.Route = outcomes, shard.First().Route
	if err := f.cfg.Validate(); err != nil {
		return usage("`penstock storm --help` lists the flags", "%w", err)
	}
	return nil
}

// placeFor finds out before the stampede whether its result will have a place. A path of "" or "-" is none.
func placeFor(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	if at, err := os.Stat(path); err == nil && at.IsDir() {
		return usage("name a file in it", "the result cannot be written: %s is a directory", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return usage("name a file in a directory that exists", "the result cannot be written: %w", err)
	}
	return nil
}

// weights reads name=weight,….
func weights(text string) (map[string]float64, error) {
	if text == "" {
		return nil, nil
	}
	all := map[string]float64{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		w, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil || !(w >= 0) {
			return nil, usage("for example --outcomes capture=90,fail=10", "--outcomes: %q is not name=weight", pair)
		}
		all[name] = w
	}
	return all, nil
}

// identities returns the buyers: from a file of tokens, or made from the key ring.
func identities(e *env, cfg config.Config, path string, users *int) (func(int) (storm.Identity, error), error) {
	if path != "" {
		return readTokens(path, users)
	}
	if _, err := os.Stat(ringPath(cfg)); err != nil {
		return nil, usage("name the server's data directory with --data, or give --tokens", "no buyers: there is no key ring at %s", ringPath(cfg))
	}
	ring, err := openRing(e, cfg)
	if err != nil {
		return nil, err
	}
	return func(n int) (storm.Identity, error) {
		user := "buyer-" + strconv.Itoa(n+1)
		token, err := ring.Sign(auth.Claims{User: user, Expires: time.Now().Add(6 * time.Hour)})
		return storm.Identity{User: user, Token: token}, err
	}, nil
}

// readTokens takes the user of each token from its claims; that the signature is good is the server's business.
func readTokens(path string, users *int) (all func(int) (storm.Identity, error), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("`penstock token --user buyer --count 10000 > tokens.txt` makes some", "%w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var list []storm.Identity
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		token := strings.TrimSpace(lines.Text())
		if token == "" {
			continue
		}
		user, err := subject(token)
		if err != nil {
			return nil, usage("one token a line, as `penstock token --count N` prints them", "%s line %d: %w", path, len(list)+1, err)
		}
		list = append(list, storm.Identity{User: user, Token: token})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, usage("`penstock token --user buyer --count 10000 > tokens.txt` makes some", "%s has no tokens", path)
	}
	*users = min(*users, len(list))
	return func(n int) (storm.Identity, error) { return list[n], nil }, nil
}

func subject(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("not a JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("not a JWT")
	}
	var claims struct {
		Sub string `json:"sub"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Sub == "" {
		return "", errors.New("the token names no user")
	}
	return claims.Sub, nil
}

// stampede runs a storm with a picture of it: drawn over itself on a terminal, a line a second elsewhere.
func stampede(ctx context.Context, e *env, cfg storm.Config) (storm.Report, error) {
	cfg.Progress = plainProgress(e)
	if w, ok := e.out.(*os.File); ok && e.terminal {
		if columns, _, err := term.GetSize(int(w.Fd())); err == nil && columns >= screen.Narrowest {
			drawn := false
			style := screen.Style{Width: columns, Color: e.variable("NO_COLOR") == ""}
			cfg.Progress = func(p storm.Progress) {
				if drawn {
					fmt.Fprintf(e.out, "\x1b[%dA\x1b[J", screen.Lines)
				}
				drawn = true
				fmt.Fprint(e.out, screen.Render(p, style))
			}
		}
	}
	return storm.Run(ctx, cfg)
}

// plainProgress writes a line when the phase changes and one a second.
func plainProgress(e *env) func(storm.Progress) {
	var phase storm.Phase
	var last time.Duration
	return func(p storm.Progress) {
		if p.Phase == phase && p.Elapsed-last < time.Second {
			return
		}
		phase, last = p.Phase, p.Elapsed
		stock := "stock not known"
		if n := len(p.Points); n > 0 && p.Points[n-1].Stock != nil {
			l := p.Points[n-1].Stock
			stock = fmt.Sprintf("sold %d held %d free %d", l.Sold, l.Held, l.Available)
		}
		fmt.Fprintf(e.err, "%6.1fs %-10s arrived %d of %d, %s, answers: won %d lost %d refused %d shed %d unknown %d\n", max(p.Elapsed, 0).Seconds(), p.Phase,
			p.Buyers.Arrived, p.Arrivals, stock, p.Total[storm.Won], p.Total[storm.Lost], p.Total[storm.Refused], p.Total[storm.Shed], p.Total[storm.NoAnswer])
	}
}

// conclude prints the result and writes what was asked for.
func (f *stormFlags) conclude(e *env, rep *storm.Report) error {
	if f.json != "-" {
		table := rep.Check
		table.Verdict, table.Notes = rep.Verdict, nil // the summary has the notes of both
		fmt.Fprint(e.out, steady(summary(rep)+table.Text()))
	}
	if err := writeReport(e, f.json, rep); err != nil {
		return err
	}
	if f.report != "" {
		if err := os.WriteFile(f.report, []byte(stormpage.HTML(rep)), 0o600); err != nil {
			return usage("name a file in a directory that exists", "the page cannot be written: %w", err)
		}
	}
	if rep.Verdict != check.Pass {
		return verdictFailed()
	}
	return nil
}

func summary(r *storm.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d buyers at %.0f/s (offered %.0f/s), %d attempts in %.1f s\n", r.Seed, r.Buyers.Arrived, r.AchievedRate, r.OfferedRate, r.Attempts, r.Seconds)
	fmt.Fprintf(&b, "buyers:  won %d, lost %d, unresolved %d; winners paid %d, cancelled %d, walked away %d\n", r.Won, r.Lost, r.Unresolved, r.Buyers.Paid, r.Buyers.Cancelled, r.Buyers.WalkedAway)
	fmt.Fprintf(&b, "answers: won %d, lost %d, refused %d, shed %d, unknown %d\n", r.Answers["won"], r.Answers["lost"], r.Refused, r.Shed, r.Unknown)
	fmt.Fprintf(&b, "latency: p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms, from the moment each was due\n", r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Latency.Max)
	fmt.Fprintf(&b, "stock:   sold %d, held %d, free %d of %d\n", r.Stock.Sold, r.Stock.Held, r.Stock.Available, r.Stock.Offered)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}
