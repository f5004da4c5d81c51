package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"penstock/app"
	"penstock/config"
	"penstock/internal/owner"
)

// Exit codes.
const (
	exitFailed      = 1 // an invariant or a job failed
	exitUsage       = 2 // wrong usage or configuration
	exitUnreachable = 3 // something needed could not be reached
)

// failure is an error that knows its exit code and what to do about it. With a nil err nothing is printed: the command has
// said it all (a verdict).
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string {
	if f.err == nil {
		return "failed"
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is for a command line or a file that cannot be followed.
func usage(hint, format string, a ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, a...), hint}
}

// failed is for a job that ran and did not succeed.
func failed(hint, format string, a ...any) error {
	return &failure{exitFailed, fmt.Errorf(format, a...), hint}
}

// unreachable is for something that is not there.
func unreachable(hint, format string, a ...any) error {
	return &failure{exitUnreachable, fmt.Errorf(format, a...), hint}
}

// verdictFailed ends a command that has printed why with exit code 1.
func verdictFailed() error { return &failure{code: exitFailed} }

// exitCode is the one place that turns an error into an exit code.
func exitCode(err error) int {
	code, _ := classify(err)
	return code
}

// classify returns the exit code of err and what to do about it.
func classify(err error) (code int, hint string) {
	if err == nil {
		return 0, ""
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code, f.hint
	}
	if _, ok := errors.AsType[config.Problems](err); ok {
		return exitUsage, "`penstock config reference` explains every key, `penstock config check` tries a configuration"
	}
	if _, ok := errors.AsType[*app.EngineError](err); ok {
		return exitUnreachable, "docs/engines.md says how each engine is prepared; `penstock config show` prints what is in force"
	}
	switch {
	case errors.Is(err, owner.ErrTaken):
		return exitUnreachable, "stop the process that owns the directory, or give this one another with --data"
	case errors.Is(err, syscall.EADDRINUSE):
		return exitUnreachable, "another server may run here; the flags are --listen-public, --listen-admin, --listen-probe and --listen-sandbox"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return exitUnreachable, "let this user write there, or choose another directory with --data"
	case errors.Is(err, syscall.ENOSPC):
		return exitUnreachable, "make room on that disk, or choose another directory with --data"
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return exitUnreachable, "that path cannot be used; --data names the data directory, `penstock config show` prints what is in force"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return exitUnreachable, "is the server running there? --url says where to look"
	}
	return exitFailed, ""
}

// report writes one line for each thing that is wrong and one that says what to do.
func report(w io.Writer, err error) {
	if err == nil {
		return
	}
	if f, ok := errors.AsType[*failure](err); ok && f.err == nil {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintln(w, "penstock:", line)
	}
	if _, hint := classify(err); hint != "" {
		fmt.Fprintln(w, "hint:", hint)
	}
}
