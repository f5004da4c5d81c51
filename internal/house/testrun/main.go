// Command testrun is what "make test" runs: vet, every test, the process- and disk-fault tests, the race detector over the
// packages whose work is concurrency, and the demo as a stranger would start it.
//
// It prints go test's own lines as they come (the output of a test only if it failed), then a line per group, then
// "N passed, N failed, N skipped", counted from go test's own events: a test, a subtest and a package that does not build
// each count as one. It exits 1 when anything failed. A group that could not run says so.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// binary is what "make build" makes.
const binary = "bin/penstock"

// racy are the packages that the race detector watches: what shares memory between goroutines on the money path.
var racy = []string{"./stock/...", "./bus/...", "./sale/...", "./limit/...", "./gateway", "./auth", "./telemetry"}

type group struct {
	name string
	// run prints as it goes and returns what it counted; note is shown beside the verdict.
	run func(out io.Writer) (c count, note string, err error)
}

func main() {
	groups := []group{
		{"vet", command("go", "vet", "./...")},
		{"tests", tests("go", "test", "-count=1", "-json", "-p", "2")},
		{"faults", faults},
		{"race", race},
		{"demo", command(binary, "demo", "--exit")},
	}
	var total count
	var lines []string
	failed := false
	for _, g := range groups {
		fmt.Printf("== %s\n", g.name)
		start := time.Now()
		c, note, err := g.run(os.Stdout)
		total.add(c)
		verdict := "ok"
		switch {
		case err != nil || c.failed > 0:
			verdict, failed = "FAILED", true
		case note != "":
			verdict = "ok, " + note
		}
		if err != nil {
			note = err.Error()
			verdict += ": " + note
		}
		lines = append(lines, fmt.Sprintf("%-7s %6.1fs  %5d tests  %s", g.name, time.Since(start).Seconds(), c.all(), verdict))
	}
	fmt.Println()
	for _, l := range lines {
		fmt.Println(l)
	}
	slices.Sort(total.why)
	for _, s := range slices.Compact(total.why) {
		fmt.Println("skipped:", s)
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if failed {
		os.Exit(1)
	}
}

// command runs a program whose exit code is the verdict. It counts no tests.
func command(name string, args ...string) func(io.Writer) (count, string, error) {
	return func(out io.Writer) (count, string, error) {
		cmd := exec.Command(name, args...)
		cmd.Stdout, cmd.Stderr = out, out
		return count{}, "", cmd.Run()
	}
}

// tests runs go test over every package but the fault tests, which have a group of their own.
func tests(name string, args ...string) func(io.Writer) (count, string, error) {
	return func(out io.Writer) (count, string, error) {
		packages, err := list("./...")
		if err != nil {
			return count{}, "", err
		}
		for _, p := range packages {
			if p != faultPackage {
				args = append(args, p)
			}
		}
		c, err := gotest(out, nil, name, args...)
		return c, "", err
	}
}

const faultPackage = "penstock/test/crash"

func faults(out io.Writer) (count, string, error) {
	c, err := gotest(out, []string{"CRASH_BINARY=" + binary}, "go", "test", "-count=1", "-json", "-timeout", "8m", "./test/crash")
	return c, "", err
}

// race needs a C compiler, which nothing else here does.
func race(out io.Writer) (count, string, error) {
	if _, err := exec.LookPath("gcc"); err != nil {
		return count{}, "not run: the race detector needs gcc", nil
	}
	packages, err := list(racy...)
	if err != nil {
		return count{}, "", err
	}
	args := append([]string{"test", "-count=1", "-race", "-short", "-json", "-p", "2"}, packages...)
	c, err := gotest(out, []string{"CGO_ENABLED=1"}, "go", args...)
	return c, "", err
}
