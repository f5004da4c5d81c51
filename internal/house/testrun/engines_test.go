package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An engine ran when a test says so, be it that another could not; one that nobody started has not run, though it may be
// installed.
func TestVerdictsFollowTheEvidence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		log  string
		want []string
		all  bool
	}{
		{"", []string{"redis  not run, because no test started it", "mysql  not run, because no test started it", "kafka  not run, because no test started it"}, false},
		{"redis\tran\t7.0.15\nkafka\tnot run\tno java\nmysql\tran\t10.11\n", []string{"redis  ran (7.0.15)", "mysql  ran (10.11)", "kafka  not run, because no java"}, false},
		{"redis\tran\t7.0.15\nmysql\tran\t10.11\nkafka\tnot run\tslow\nkafka\tran\t4.1.1\n", []string{"redis  ran (7.0.15)", "mysql  ran (10.11)", "kafka  ran (4.1.1)"}, true},
	} {
		name := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(name, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		lines, all, err := verdicts(name)
		if err != nil || all != c.all {
			t.Errorf("%q: all %v, %v", c.log, all, err)
		}
		if d := cmp.Diff(c.want, lines); d != "" {
			t.Error(d)
		}
	}
}

// Engines are required in CI and by wish.
func TestRequired(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, value string
		want       bool
	}{{"", "", false}, {"CI", "true", true}, {"CI", "false", false}, {"ENGINES", "require", true}, {"ENGINES", "any", false}} {
		got := required(func(key string) string {
			if key == c.key {
				return c.value
			}
			return ""
		})
		if got != c.want {
			t.Errorf("%s=%s: %v", c.key, c.value, got)
		}
	}
}

// Packages whose tests depend on real engines stand apart, also those that do so by way of another package; recompilations for
// a test are no packages.
func TestSplit(t *testing.T) {
	t.Parallel()
	plain, engines := split(`p/alone fmt
p/direct fmt
p/indirect fmt
penstock/internal/engines fmt
p/alone.test fmt p/alone
p/direct.test fmt p/direct [p/direct.test] penstock/internal/engines
p/direct [p/direct.test] fmt
p/direct_test [p/direct.test] fmt penstock/internal/engines
p/indirect.test fmt p/indirect p/rig penstock/internal/engines
penstock/internal/engines.test penstock/internal/engines [penstock/internal/engines.test]
p/rig penstock/internal/engines
`)
	if d := cmp.Diff([]string{"p/alone", "p/rig"}, plain); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"p/direct", "p/indirect", "penstock/internal/engines"}, engines); d != "" {
		t.Error(d)
	}
}
