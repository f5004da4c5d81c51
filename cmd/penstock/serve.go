package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"penstock/app"
	"penstock/auth"
	"penstock/internal/durable"
)

// tokenLife is how long the operator token that a start leaves behind is good for.
const tokenLife = 30 * 24 * time.Hour

// stopMargin is what a stop may take beyond the drain time-out: batches to commit, databases to close.
const stopMargin = 20 * time.Second

func newServe(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "run the server",
		Long: "Run the server until SIGTERM or SIGINT, then finish what is in flight; a second signal ends it at once.\n" +
			"Without any configuration it runs durably in ./data. Every key of `penstock config reference` is also a flag here.",
		Args: args(),
	}
	s := addSettings(e, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return serve(c.Context(), e, s)
	}
	return c
}

func serve(ctx context.Context, e *env, s *settings) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	b := readBuild()
	a, err := app.New(ctx, cfg, app.Options{Log: e.err, Version: b.Version, Commit: b.Commit})
	if err != nil {
		return err
	}
	asked, release := stopSignals(e)
	defer release()
	if err := start(ctx, a, asked); err != nil {
		select {
		case <-asked: // whoever asked for a stop during the start got it
			return nil
		default:
			return err
		}
	}
	defer onHangup(e, a)()
	if err := announce(e, a, cfg.Data); err != nil {
		return errors.Join(err, stop(a, cfg.Timeouts.Drain))
	}
	select {
	case <-asked:
	case <-ctx.Done():
	}
	return stop(a, cfg.Timeouts.Drain)
}

// stopSignals returns a channel that is closed by the first SIGTERM or SIGINT; a second one ends the process. release gives the
// signals back.
func stopSignals(e *env) (asked <-chan struct{}, release func()) {
	signals, first, done := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		select {
		case <-signals:
			close(first)
		case <-done:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(e.err, "penstock: ended at once by a second signal; what was in flight is settled at the next start")
			e.exit(exitFailed)
		case <-done:
		}
	}()
	return first, func() { signal.Stop(signals); close(done) }
}

// start gives the start up when a stop is asked for. The context is for the start alone: what runs afterwards is ended by Stop.
func start(ctx context.Context, a *app.App, asked <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-asked:
			cancel()
		case <-over:
		}
	}()
	return a.Start(ctx)
}

func stop(a *app.App, drain time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), drain+stopMargin)
	defer cancel()
	return a.Stop(ctx)
}

// announce says where the server is to be found. Each start leaves a fresh operator token in the data directory; a disk that
// cannot take it does not keep the server from serving.
func announce(e *env, a *app.App, data string) error {
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	path := filepath.Join(data, "operator.token")
	if err := keepToken(a, path); err != nil {
		fmt.Fprintln(e.err, "penstock: no operator token was kept:", err)
		path = "none; make one with penstock token --role operator"
	}
	at := a.Addrs()
	var rows [][]string
	for _, l := range [][2]string{{"buyers", "public"}, {"operators", "admin"}} {
		if at[l[1]] != "" { // a process listens where its roles need it
			rows = append(rows, []string{l[0], "http://" + at[l[1]]})
		}
	}
	rows = append(rows, []string{"probes", "http://" + at["probe"] + "/health/ready"}, []string{"data", data}, []string{"operator token", path})
	fmt.Fprintln(e.out, "penstock is ready")
	return table(e.out, rows)
}

// keepToken leaves a token for the operator of this machine.
func keepToken(a *app.App, path string) error {
	token, err := a.Token("operator", auth.Operator, tokenLife)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, []byte(token+"\n"), 0o600)
}
