// Command testrun is what "make test" runs: vet, every test, those on real engines one package at a time, the process- and
// disk-fault tests, the race detector over the packages whose work is concurrency, the pages (where npm is there), and the demo as a stranger would start it.
//
// It prints go test's own lines as they come (the output of a test only if it failed), then a line per group, then
// "N passed, N failed, N skipped", counted from go test's own events: a test, a subtest and a package that does not build
// each count as one. It exits 1 when anything failed. A group that could not run says so.
//
// A line per engine closes the run: "redis  ran (7.0.15)" or "mysql  not run, because …", from what the tests themselves have
// written down. With CI=true or ENGINES=require missing engines are installed where this process may, and one that was not run
// is a failure, unless -only names the groups to run, such as -only vet,web.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// binary is what "make build" makes.
const binary = "bin/penstock"

// racy are the packages that the race detector watches: what shares memory between goroutines on the money path.
var racy = []string{"./stock/...", "./bus/...", "./sale/...", "./limit/...", "./lock/...", "./cache/...", "./gateway", "./auth", "./telemetry"}

type group struct {
	name string
	// run prints as it goes and returns what it counted; note is shown beside the verdict.
	run func(out io.Writer) (c count, note string, err error)
}

func main() {
	only := flag.String("only", "", "run these groups only, separated by commas")
	flag.Parse()
	log, remove, err := evidence()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
	groups, err := chosen([]group{
		{"vet", command("go", "vet", "./...")},
		{"install", install},
		{"tests", tests},
		{"engines", onEngines},
		{"faults", faults},
		{"race", race},
		{"web", faces},
		{"browser", browser},
		{"demo", command(binary, "demo", "--exit")},
	}, *only)
	failed := err != nil
	if failed {
		fmt.Fprintln(os.Stderr, "testrun:", err)
	} else {
		var all bool
		failed, all = execute(groups, log)
		failed = failed || !all && *only == "" && required(os.Getenv) // some groups alone may need no engine
	}
	remove()
	if failed {
		os.Exit(1)
	}
}

// chosen returns the groups that only names, in their own order; all if it names none.
func chosen(groups []group, only string) ([]group, error) {
	if only == "" {
		return groups, nil
	}
	names := strings.Split(only, ",")
	var is []string
	groups = slices.DeleteFunc(groups, func(g group) bool {
		is = append(is, g.name)
		return !slices.Contains(names, g.name)
	})
	for _, n := range names {
		if !slices.Contains(is, n) {
			return nil, fmt.Errorf("there is no group %q; there are %s", n, strings.Join(is, ", "))
		}
	}
	return groups, nil
}

// execute runs the groups one after the other and prints what became of them and of the engines.
func execute(groups []group, log string) (failed, all bool) {
	var total count
	var lines []string
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
	fmt.Println()
	engines, all, err := verdicts(log)
	for _, l := range engines {
		fmt.Println(l)
	}
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	return failed || err != nil, all
}

// command runs a program whose exit code is the verdict. It counts no tests.
func command(name string, args ...string) func(io.Writer) (count, string, error) {
	return func(out io.Writer) (count, string, error) {
		cmd := exec.Command(name, args...)
		cmd.Stdout, cmd.Stderr = out, out
		return count{}, "", cmd.Run()
	}
}

// tests runs what needs no real engine, without the fault tests, which have a group of their own.
func tests(out io.Writer) (count, string, error) {
	plain, _, err := list("./...")
	if err != nil {
		return count{}, "", err
	}
	c, err := gotest(out, nil, "go", append([]string{"test", "-count=1", "-json", "-p", "2"}, without(plain, faultPackage)...)...)
	return c, "", err
}

// onEngines runs the tests that start real engines.
func onEngines(out io.Writer) (count, string, error) {
	_, engines, err := list("./...")
	if err != nil || len(engines) == 0 {
		return count{}, "", err
	}
	c, err := gotest(out, nil, "go", append([]string{"test", "-count=1", "-json", "-p", "1", "-timeout", "10m"}, without(engines, faultPackage)...)...)
	return c, "", err
}

const faultPackage = "penstock/test/crash"

func without(packages []string, one string) []string {
	return slices.DeleteFunc(packages, func(p string) bool { return p == one })
}

func faults(out io.Writer) (count, string, error) {
	c, err := gotest(out, []string{"CRASH_BINARY=" + binary}, "go", "test", "-count=1", "-json", "-timeout", "10m", "./test/crash")
	return c, "", err
}

// race needs a C compiler, which nothing else here does.
func race(out io.Writer) (count, string, error) {
	if _, err := exec.LookPath("gcc"); err != nil {
		return count{}, "not run: the race detector needs gcc", nil
	}
	plain, engines, err := list(racy...)
	if err != nil {
		return count{}, "", err
	}
	c, err := detect(out, "2", plain)
	if err != nil || len(engines) == 0 {
		return c, "", err
	}
	more, err := detect(out, "1", engines)
	c.add(more)
	return c, "", err
}

func detect(out io.Writer, atOnce string, packages []string) (count, error) {
	args := append([]string{"test", "-count=1", "-race", "-short", "-json", "-p", atOnce, "-timeout", "10m"}, packages...)
	return gotest(out, []string{"CGO_ENABLED=1"}, "go", args...)
}
