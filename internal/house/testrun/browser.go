package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// browserDir is where the browser tests find a binary with the faces in it, and leave what they saw.
const browserDir = "bin/browser"

// browser builds the faces and drives them with a real browser against real processes. It needs Node and a Chromium, which is
// installed where this process may; where either is missing the group says so, and fails if everything is required.
func browser(out io.Writer) (count, string, error) {
	missing := func(why string) (count, string, error) {
		if required(os.Getenv) {
			return count{}, "", errors.New(why)
		}
		return count{}, "not run: " + why, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return missing("the browser tests need Node 20 or newer with npm")
	}
	path, err := chromium(out)
	if err != nil {
		return missing(err.Error())
	}
	if err := faced(out); err != nil {
		return count{}, "", err
	}
	return drive(out, path)
}

func chromium(out io.Writer) (string, error) {
	cmd := exec.Command("scripts/browser", "install")
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(out, &said)
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("no Chromium: %s", last(said.String()))
	}
	return strings.TrimSpace(string(path)), nil
}

func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// faced builds the pages and the binaries with them.
func faced(out io.Writer) error {
	if stale("web/node_modules/.package-lock.json", "web/package-lock.json") {
		if err := npm(out, "ci", "--no-audit", "--no-fund"); err != nil {
			return err
		}
	}
	if err := npm(out, "run", "--silent", "build"); err != nil {
		return err
	}
	if err := os.MkdirAll(browserDir, 0o750); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", browserDir+"/", "./cmd/penstock", "./test/browser/plant")
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Run()
}

// drive runs the tests and takes their count from what they report.
func drive(out io.Writer, chromium string) (count, string, error) {
	dir, err := filepath.Abs(browserDir)
	if err != nil {
		return count{}, "", err
	}
	report := filepath.Join(dir, "report.json")
	_ = os.Remove(report) // one of before would be taken for this one's
	cmd := exec.Command("npx", "vitest", "run", "--config", "e2e/vitest.config.ts", "--reporter=default", "--reporter=json", "--outputFile.json="+report)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "web", out, out
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "CHROMIUM="+chromium, "BROWSER_BINARY="+filepath.Join(dir, "penstock"), "BROWSER_PLANT="+filepath.Join(dir, "plant"))
	failed := cmd.Run()
	text, err := os.ReadFile(report)
	if err != nil {
		return count{}, "", errors.Join(failed, err)
	}
	c, err := counted(text)
	if failed != nil && err == nil && c.failed == 0 {
		err = fmt.Errorf("vitest: %w, but no test reports a failure", failed)
	}
	return c, "pictures in bin/screenshots", err
}

// counted reads the counts of a report.
func counted(text []byte) (count, error) {
	var r struct {
		NumPassedTests, NumFailedTests, NumPendingTests, NumFailedTestSuites int
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return count{}, fmt.Errorf("the report of the browser tests: %w", err)
	}
	c := count{passed: r.NumPassedTests, failed: r.NumFailedTests, skipped: r.NumPendingTests}
	if c.failed == 0 {
		c.failed = r.NumFailedTestSuites
	}
	if c.all() == 0 {
		return c, errors.New("no browser test has run")
	}
	return c, nil
}
