package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// enginePackage starts real engines: a package whose tests depend on it is run alone, since brokers on busy cores look dead.
const enginePackage = "penstock/internal/engines"

// list names the packages that the patterns match, those whose tests start real engines apart. A pattern whose directory does
// not exist matches nothing.
func list(patterns ...string) (plain, onEngines []string, err error) {
	var there []string
	for _, p := range patterns {
		if _, err := os.Stat(strings.TrimSuffix(p, "/...")); err == nil {
			there = append(there, p)
		}
	}
	if len(there) == 0 {
		return nil, nil, fmt.Errorf("none of %v exists", patterns)
	}
	cmd := exec.Command("go", append([]string{"list", "-test", "-f", "{{.ImportPath}} {{join .Deps \" \"}}"}, there...)...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	plain, onEngines = split(string(b))
	return plain, onEngines, nil
}

// split reads lines of a package and all that it depends on. A test binary is called like its package with ".test" behind;
// lines of packages recompiled for a test name it in brackets.
func split(lines string) (plain, onEngines []string) {
	starts := map[string]bool{} // by package, whether its tests start engines
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if p, test := strings.CutSuffix(words[0], ".test"); test {
			starts[p] = slices.Contains(words[1:], enginePackage)
		} else if len(words) < 2 || !strings.HasPrefix(words[1], "[") {
			plain = append(plain, p)
		}
	}
	plain = slices.DeleteFunc(plain, func(p string) bool {
		if starts[p] {
			onEngines = append(onEngines, p)
		}
		return starts[p]
	})
	return plain, onEngines
}
