// Package engines starts real Redis, MariaDB and Kafka servers for tests.
//
// Each server is a child of the test: it listens on free loopback ports, keeps its data under t.TempDir(), and is killed in the
// test's cleanup, or by the kernel when the test dies before. Where an engine is not installed the test is skipped with
// "engine not installed: …", or fails when ENGINES=require, as in CI. When ENGINES_LOG names a file, a
// line is appended to it for every server that ran and every one that could not: what "make test" says about engines at its
// end comes from there.
//
// Kill, Start, Pause and Resume of one Server are for one goroutine at a time; the other methods are for any.
package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"penstock/internal/engines/launch"
)

const (
	// Require is the environment variable that makes a missing engine a failure when it is "require".
	Require = "ENGINES"
	// Log is the environment variable that names the file of evidence: lines of engine, "ran" or "not run", and the version
	// or the reason, separated by tabs.
	Log = "ENGINES_LOG"

	startTimeout = 60 * time.Second
)

// Server is one engine process.
type Server struct {
	spec      launch.Spec
	process   *launch.Process
	databases atomic.Int64
}

// URL is what goes into Penstock's configuration, as in "redis://127.0.0.1:6379".
func (s *Server) URL() string { return s.spec.URL() }

// Addr is "127.0.0.1:port".
func (s *Server) Addr() string { return s.spec.Addr() }

// Dir holds the server's data and logs.
func (s *Server) Dir() string { return s.spec.Dir }

// Kill ends the server with SIGKILL and returns when it is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	check(t, s.process.Kill())
}

// Start starts a killed server again, on the same port and data, and returns when it is ready.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.spawn(t)
	s.wait(t)
}

// Pause stops the server's threads with SIGSTOP: connections stay open and nothing answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	check(t, s.process.Signal(syscall.SIGSTOP))
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	check(t, s.process.Signal(syscall.SIGCONT))
}

// begin starts a server that the test's cleanup kills, without waiting for it.
func begin(t testing.TB, spec launch.Spec) *Server {
	t.Helper()
	s := &Server{spec: spec}
	s.spawn(t)
	t.Cleanup(func() { s.Kill(t) })
	return s
}

func (s *Server) spawn(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	p, err := launch.Start(ctx, s.spec, launch.Child)
	check(t, err)
	s.process = p
}

func (s *Server) wait(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	check(t, s.process.Wait(ctx))
	record(t, s.spec.Engine, "ran", s.spec.Version)
}

// Installed skips or fails the test when err says that an engine is missing, and fails it for any other error.
func Installed(t testing.TB, err error) {
	t.Helper()
	var missing *launch.MissingError
	if !errors.As(err, &missing) {
		check(t, err)
		return
	}
	record(t, missing.Engine, "not run", err.Error())
	if os.Getenv(Require) == "require" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// record appends evidence in one write, so that lines of parallel tests do not mix.
func record(t testing.TB, engine, what, detail string) {
	t.Helper()
	name := os.Getenv(Log)
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(t, err)
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", engine, what, strings.Join(strings.Fields(detail), " "))
	check(t, err)
}

// until polls a condition that a started server reaches by itself.
func until(t testing.TB, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ports(t testing.TB, n int) []int {
	t.Helper()
	p, err := launch.FreePorts(n)
	check(t, err)
	return p
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
