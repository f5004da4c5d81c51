package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"penstock/internal/engines/launch"
)

// The environment between this command and the tests; internal/engines explains it.
const (
	requireKey  = "ENGINES"
	evidenceKey = "ENGINES_LOG"
)

// required reports whether an engine that does not run is a failure.
func required(env func(string) string) bool {
	return env("CI") == "true" || env(requireKey) == "require"
}

// evidence is the file in which tests write down which engines they have run. remove takes it away. Tests find it, and that
// engines are required, in the environment of this process.
func evidence() (name string, remove func(), err error) {
	f, err := os.CreateTemp("", "penstock-engines-*.log")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.Remove(f.Name()) } // a file left behind does no harm
	err = errors.Join(f.Close(), os.Setenv(evidenceKey, f.Name()))
	if required(os.Getenv) {
		err = errors.Join(err, os.Setenv(requireKey, "require"))
	}
	return f.Name(), remove, err
}

// install has engines ready before parallel tests want them: where they are required by all means, otherwise only what takes
// long and touches no system directory, Kafka's jars.
func install(out io.Writer) (count, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if required(os.Getenv) {
		var errs []error
		for _, e := range launch.Engines() {
			errs = append(errs, launch.Install(ctx, e, out))
		}
		return count{}, "", errors.Join(errs...)
	}
	if _, err := launch.KafkaJars(ctx, out); err != nil {
		return count{}, err.Error(), nil
	}
	return count{}, "", nil
}

// verdicts says of each engine whether a test has run on it, from the evidence. It reports whether all have.
func verdicts(name string) (lines []string, all bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	ran, why := map[string]string{}, map[string]string{}
	in := bufio.NewScanner(f)
	for in.Scan() {
		switch w := strings.SplitN(in.Text(), "\t", 3); {
		case len(w) != 3:
			return nil, false, fmt.Errorf("evidence of engines: line %q", in.Text())
		case w[1] == "ran":
			ran[w[0]] = w[2]
		default:
			why[w[0]] = w[2]
		}
	}
	all = true
	for _, e := range launch.Engines() {
		switch {
		case ran[e] != "":
			lines = append(lines, fmt.Sprintf("%-6s ran (%s)", e, ran[e]))
			continue
		case why[e] == "":
			why[e] = "no test started it"
		}
		all = false
		lines = append(lines, fmt.Sprintf("%-6s not run, because %s", e, why[e]))
	}
	return lines, all, in.Err()
}
