// Command updown has the engines that Penstock can run on up and running: Redis, MySQL (or MariaDB) and Kafka, one server each.
// scripts/engines builds and calls it; docs/engines.md explains it.
//
// The exit code is 0 when what was asked for is so, 1 when it is not, 2 for wrong usage or settings, 3 when something needed
// could not be had: an engine that is not installed, a container engine that does not answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"penstock/internal/engines/launch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

const usage = `usage: scripts/engines up|down|status [redis] [mysql] [kafka]

  up      start what is not running; ready when it returns
  down    end what up has started; data stays
  status  a line for each: up with its URL, or down

Without a name: all of them. Settings, with their defaults:
  ENGINES_BY=auto     containers, packages, or whichever is there, containers first
  ENGINES_DIR         data and logs; penstock-engines in the temporary directory
  ENGINES_REDIS_PORT=16379  ENGINES_MYSQL_PORT=13306  ENGINES_KAFKA_PORT=19092 (and the two after it)
`

// usageError is one that the caller mends by calling differently.
type usageError struct{ error }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, out, log io.Writer) int {
	err := execute(ctx, args, env, out, log)
	if err == nil {
		return 0
	}
	fmt.Fprintln(log, "engines:", err)
	var wrong usageError
	var port *launch.PortError
	var missing *launch.MissingError
	switch {
	case errors.As(err, &wrong), errors.As(err, &port):
		return 2
	case errors.As(err, &missing):
		return 3
	}
	return 1
}

func execute(ctx context.Context, args []string, env func(string) string, out, log io.Writer) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		fmt.Fprint(out, usage)
		if len(args) == 0 {
			return usageError{errors.New("say up, down or status")}
		}
		return nil
	}
	s, err := parse(env)
	if err != nil {
		return usageError{err}
	}
	engines := args[1:]
	for _, e := range engines {
		if !slices.Contains(launch.Engines(), e) {
			return usageError{fmt.Errorf("no engine %q: there are %s", e, strings.Join(launch.Engines(), ", "))}
		}
	}
	if len(engines) == 0 {
		engines = launch.Engines()
	}
	if err := s.own(); err != nil {
		return err
	}
	c := &control{settings: s, out: out, log: log}
	switch args[0] {
	case "up":
		return c.up(ctx, engines)
	case "down":
		return c.down(ctx, engines)
	case "status":
		return c.status(ctx, engines)
	}
	return usageError{fmt.Errorf("no command %q: say up, down or status", args[0])}
}
