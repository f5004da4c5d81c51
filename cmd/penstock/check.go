package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"penstock/app"
	"penstock/check"
	"penstock/config"
	"penstock/internal/owner"
	"penstock/order/shard"
	"penstock/storm"
)

// checkFlags say what to check and against what.
type checkFlags struct {
	json, exports string
	noWait        bool
	opt           check.Options
}

func newCheck(e *env) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "compute the invariants from what a server, or a data directory, lets anyone see",
		Long: "Compute the invariants and print each with its figures. The records come from the admin listener at --url; else from the server\n" +
			"that runs on --data; and when none does, the directory is opened as a start would open it (what was on its way is delivered,\n" +
			"what is due expires), read, and closed, even where the stock contradicts its journal and no server would start.\n" +
			"With --exports they come from saved NDJSON files.",
		Args: args(),
	}
	o := addOperator(e, c)
	jsonFile(c, &f.json)
	c.Flags().StringVar(&f.opt.History, "history", "", "history of a storm, for what only buyers can tell")
	c.Flags().StringVar(&f.opt.EarlierAudit, "audit", "", "an earlier export of the audit trail, which must be a prefix of the present one")
	c.Flags().StringVar(&f.exports, "exports", "", "directory with saved exports: claims.ndjson, orders.ndjson, …, sales.ndjson and stock.ndjson")
	c.Flags().DurationVar(&f.opt.Wait, "wait", 30*time.Second, "how long to wait until nothing is in flight")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "judge at once; what is in flight then counts as on its way")
	c.RunE = func(c *cobra.Command, _ []string) error { return runCheck(c.Context(), e, o, &f) }
	return c
}

// jsonFile makes --json name a file, where calls to the operator API have a switch.
func jsonFile(c *cobra.Command, into *string) {
	f := c.Flags().Lookup("json")
	f.Value, f.NoOptDefVal, f.DefValue = (*fileName)(into), "", ""
	f.Usage = "write the result as one JSON object to this file; - is standard output"
}

// fileName is a flag's value.
type fileName string

func (f *fileName) String() string     { return string(*f) }
func (f *fileName) Set(s string) error { *f = fileName(s); return nil }
func (f *fileName) Type() string       { return "file" }

func runCheck(ctx context.Context, e *env, o *operator, f *checkFlags) (err error) {
	switch {
	case f.opt.Wait <= 0 && !f.noWait:
		return usage("--no-wait judges at once", "--wait %v is not a time to come", f.opt.Wait)
	case f.noWait:
		f.opt.Wait = -1
	}
	for _, path := range []string{f.opt.History, f.opt.EarlierAudit} {
		if _, err := os.Stat(path); path != "" && err != nil {
			return usage("`penstock storm --history F` writes a history", "%w", err)
		}
	}
	f.opt.Route = shard.First().Route
	if e.terminal {
		f.opt.Progress = func(step string) { fmt.Fprintf(e.err, "\r\x1b[K%s", step) }
	}
	src, done, err := source(ctx, e, o, f)
	if err != nil {
		return err
	}
	rep, err := judge(ctx, src, f.opt)
	if e.terminal {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if err = errors.Join(err, done()); err != nil {
		return explain(err)
	}
	if f.json != "-" {
		fmt.Fprint(e.out, steady(rep.Text()))
	}
	if err := writeReport(e, f.json, rep); err != nil {
		return err
	}
	if rep.Verdict != check.Pass {
		return verdictFailed()
	}
	return nil
}

// judge checks a source; with a damaged file that is all there is to say.
func judge(ctx context.Context, src check.Source, o check.Options) (check.Report, error) {
	if src.Export == nil {
		return check.Files(src.Files), nil
	}
	return check.Run(ctx, src, o)
}

// explain gives an error of a check its exit code.
func explain(err error) error {
	if errors.Is(err, storm.ErrNotOffered) {
		return usage("`penstock sale list` shows what is on offer", "%w", err)
	}
	if errors.Is(err, check.ErrUnreachable) {
		return unreachable("is the server running? --url names its admin listener, --data its directory", "%w", err)
	}
	return err
}

// writeReport writes a result as one object to a file, "-" for standard output, "" for nowhere.
func writeReport(e *env, path string, v any) error {
	switch path {
	case "":
		return nil
	case "-":
		return writeJSON(e.out, v)
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return usage("name a file in a directory that exists", "the result cannot be written: %w", err)
	}
	return nil
}

// source finds out where the records are. done releases what had to be opened.
func source(ctx context.Context, e *env, o *operator, f *checkFlags) (src check.Source, done func() error, err error) {
	done = func() error { return nil }
	if f.exports != "" {
		return check.Dir(f.exports), done, nil
	}
	cfg, err := o.s.load()
	if err != nil {
		return src, done, err
	}
	if o.url == "" && o.e.variable("PENSTOCK_URL") == "" && owner.Free(cfg.Data) {
		return lookThenOpen(ctx, e, cfg, f)
	}
	if err := o.prepare(); err != nil {
		return src, done, err
	}
	return check.HTTP(o.url, o.token, nil), done, nil
}

// openDirectory starts a Penstock on a directory that no server has, on ports nobody knows, to read from it.
func openDirectory(ctx context.Context, e *env, cfg config.Config) (check.Source, func() error, error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, "stock.db")); err != nil {
		return check.Source{}, nil, unreachable("name a running server with --url, or a data directory with --data", "no server owns %[1]s and there is no stock database in it", cfg.Data)
	}
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	listen := filepath.Join(cfg.Data, "listen.json")
	was, err := os.ReadFile(listen)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return check.Source{}, nil, err
	}
	a, err := app.New(ctx, cfg, app.Options{Log: io.Discard, Judge: true})
	if err != nil {
		return check.Source{}, nil, err
	}
	if err := a.Start(ctx); err != nil {
		return check.Source{}, nil, err
	}
	done := func() error {
		err := stop(a, cfg.Timeouts.Drain)
		if was == nil {
			return errors.Join(err, os.Remove(listen))
		}
		return errors.Join(err, os.WriteFile(listen, was, 0o640))
	}
	return a.Source(), done, nil
}

// steady keeps what buyers chose (keys, names in examples) from steering the terminal, line by line.
func steady(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
