package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of "go test -json".
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of build-output and build-fail
	FailedBuild                   string
}

// count is what became of the tests. why holds one line for each skipped one.
type count struct {
	passed, failed, skipped int
	why                     []string
}

func (c *count) all() int { return c.passed + c.failed + c.skipped }

func (c *count) add(d count) {
	c.passed += d.passed
	c.failed += d.failed
	c.skipped += d.skipped
	c.why = append(c.why, d.why...)
}

// gotest runs a "go test -json" command with extra environment and reads its events. Its error is nil when the command ran
// and said by its events what failed.
func gotest(out io.Writer, env []string, name string, args ...string) (count, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = out
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return count{}, err
	}
	if err := cmd.Start(); err != nil {
		return count{}, err
	}
	c, err := read(pipe, out)
	if err != nil {
		return c, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	if err := cmd.Wait(); err != nil && c.failed == 0 {
		return c, fmt.Errorf("%s %s: %w, but no test reports a failure", name, args[0], err)
	}
	return c, nil
}

// read counts the events and prints what a person wants to see: package lines, everything a failed test said, and what a
// passed one has measured.
func read(in io.Reader, out io.Writer) (count, error) {
	var c count
	said := map[string][]string{} // output of tests that have not ended
	failures := map[string]int{}  // failed tests by package
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go itself speaks plainly when it cannot start
			continue
		}
		id := e.Package + "\x00" + e.Test
		switch e.Action {
		case "output":
			if e.Test == "" && closing(e.Output) {
				fmt.Fprint(out, e.Output)
			} else {
				said[id] = append(said[id], e.Output)
			}
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass", "fail", "skip":
			c.end(out, e, said[id], failures)
			delete(said, id)
		}
	}
	return c, lines.Err()
}

func (c *count) end(out io.Writer, e event, said []string, failures map[string]int) {
	switch {
	case e.Action == "fail":
		if e.Test != "" {
			failures[e.Package]++
		} else if failures[e.Package] > 0 {
			return // the package fails because its tests did
		}
		c.failed++
		fmt.Fprint(out, strings.Join(said, ""))
	case e.Test == "":
	case e.Action == "pass":
		c.passed++
		for _, l := range said {
			if _, figure, ok := strings.Cut(l, ": measured: "); ok {
				fmt.Fprintf(out, "    %s: %s", e.Test, figure)
			}
		}
	default:
		c.skipped++
		c.why = append(c.why, reason(e, said))
	}
}

// reason finds what the test said when it skipped itself.
func reason(e event, said []string) string {
	for _, l := range said {
		t := strings.TrimSpace(l)
		if t != "" && !strings.HasPrefix(t, "===") && !strings.HasPrefix(t, "---") {
			return e.Test + ": " + t
		}
	}
	return e.Test
}

// closing reports whether a package-level line is go test's own verdict on the package.
func closing(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?   \t")
}
