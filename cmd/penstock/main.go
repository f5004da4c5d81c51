// Command penstock is everything that an operator runs: the server, the storm against it, the check of what is left, and the
// operator API from a shell.
//
// Results go to standard output, everything else to standard error. The exit code is 0 when what was asked for is so, 1 when a
// job or an invariant failed, 2 for wrong usage or configuration, 3 when something needed could not be reached.
package main

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"
)

// env is what a command has from the world around it, so that tests can give it another one.
type env struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	// terminal says that out is one: progress may be drawn on it.
	terminal bool
	// exit ends the process at once; only a second signal uses it.
	exit func(code int)
}

func main() {
	e := &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), terminal: term.IsTerminal(int(os.Stdout.Fd())), exit: os.Exit}
	os.Exit(run(context.Background(), e, os.Args[1:]))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	err := rephrase(root, root.ExecuteContext(ctx))
	report(e.err, err)
	return exitCode(err)
}
