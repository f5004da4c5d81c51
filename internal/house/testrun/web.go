package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// faces checks the pages: style, types, tests, the build and its size. They need Node; nothing else here does.
func faces(out io.Writer) (count, string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			return count{}, "", fmt.Errorf("npm is not installed: %w", err)
		}
		return count{}, "not run: npm is not installed", nil
	}
	if stale("web/node_modules/.package-lock.json", "web/package-lock.json") {
		if err := npm(out, "ci", "--no-audit", "--no-fund"); err != nil {
			return count{}, "", err
		}
	}
	for _, script := range []string{"lint", "types"} {
		if err := npm(out, "run", "--silent", script); err != nil {
			return count{}, "", err
		}
	}
	var said bytes.Buffer
	err := npm(io.MultiWriter(out, &said), "test")
	c := vitest(said.Bytes())
	if err != nil && c.failed == 0 {
		return c, "", err
	}
	for _, script := range []string{"build", "budget"} {
		if err := npm(out, "run", "--silent", script); err != nil {
			return c, "", err
		}
	}
	return c, "", nil
}

// stale reports a file that is missing or older than what it was made from.
func stale(made, from string) bool {
	m, err := os.Stat(made)
	if err != nil {
		return true
	}
	f, err := os.Stat(from)
	return err == nil && m.ModTime().Before(f.ModTime())
}

func npm(out io.Writer, args ...string) error {
	cmd := exec.Command("npm", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "web", out, out
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "FORCE_COLOR=0")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm %s: %w", args[len(args)-1], err)
	}
	return nil
}

var vitestLine = regexp.MustCompile(`(?m)^\s*Tests\s+(.*)$`)
var vitestPart = regexp.MustCompile(`(\d+) (passed|failed|skipped|todo)`)

// vitest reads the counts of its closing line, such as "Tests  1 failed | 33 passed (34)".
func vitest(said []byte) count {
	var c count
	line := vitestLine.FindSubmatch(said)
	if line == nil {
		return c
	}
	for _, part := range vitestPart.FindAllSubmatch(line[1], -1) {
		n, _ := strconv.Atoi(string(part[1])) // digits
		switch string(part[2]) {
		case "passed":
			c.passed += n
		case "failed":
			c.failed += n
		default:
			c.skipped += n
			c.why = append(c.why, fmt.Sprintf("web: %s tests of the pages", part[0]))
		}
	}
	return c
}
