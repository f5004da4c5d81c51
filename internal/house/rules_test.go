package house

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rule is one rule of the house over the Go sources. The breach is a set of files in which check finds exactly the wanted
// findings, by a piece of each.
type rule struct {
	name   string
	check  func(*tree) []string
	breach map[string]string
	want   []string
}

var rules = []rule{
	{"imports point one way", imports, map[string]string{
		"errs/x.go":            "package errs\nimport _ \"penstock/stock\"",
		"stock/x.go":           "package stock\nimport (_ \"penstock/errs\"\n_ \"penstock/stock/driver\")",
		"stock/driver/x.go":    "package driver\nimport _ \"penstock/stock\"",
		"cmd/penstock/x.go":    "package main\nimport _ \"penstock/app\"",
		"unheardof/x.go":       "package unheardof",
		"order/x_test.go":      "package order\nimport _ \"penstock/app\"",
		"stock/lonely/x.go":    "package lonely\nimport _ \"penstock/stock/drivertest\"",
		"stock/lone/x_test.go": "package lone\nimport _ \"penstock/stock/drivertest\"",
	}, []string{"errs imports penstock/stock", "order imports penstock/app", "stock/driver imports penstock/stock",
		"penstock/stock/drivertest outside tests", "unheardof is no room"}},

	{"packages speak for themselves", packageComments, map[string]string{
		"a/a.go":      "package a",
		"b/b.go":      "// Package b has nothing to hide.\npackage b",
		"cmd/p/p.go":  "// Command p runs.\npackage main",
		"c/c.go":      "// Something else.\npackage c",
		"d/d_test.go": "package d",
	}, []string{"a has no package comment", "c: the package comment begins"}},

	{"sources are gofmt'ed", formatted, map[string]string{
		"a/a.go": "package a\n\nvar x  = 1\n",
		"a/b.go": "package a\n\nconst y = 1\n",
	}, []string{"a/a.go"}},

	{"files are short", fileLength, map[string]string{
		"a/long.go":  "package a\n" + strings.Repeat("//\n", maxFileLines),
		"a/short.go": "package a\n",
	}, []string{"a/long.go"}},

	{"functions are short", functionLength, map[string]string{
		"a/a.go":      "package a\nfunc long() {\n" + strings.Repeat("_ = 0\n", maxFunctionLines) + "}\nfunc short() {}\n",
		"a/a_test.go": "package a\nfunc long() {\n" + strings.Repeat("_ = 0\n", maxFunctionLines) + "}\n",
	}, []string{"a/a.go:2: long"}},

	{"functions take few parameters", parameters, map[string]string{
		"a/a.go": "package a\nfunc Many(a, b, c int, d, e, f string) {}\nfunc (t T) Few(a, b, c, d, e int) {}\ntype T struct{}",
	}, []string{"Many takes 6"}},

	{"interfaces are small", interfaces, map[string]string{
		"a/a.go": "package a\ntype Big interface { A(); B(); C(); D(); E(); F(); G(); H() }\ntype Small interface { A(); Big }",
	}, []string{"Big has 8"}},

	{"nothing happens on import", noInit, map[string]string{
		"a/a.go": "package a\nfunc init() {}\ntype t struct{}\nfunc (t) init() {}",
	}, []string{"a/a.go:2"}},

	{"packages keep no state", packageState, map[string]string{
		"a/a.go": `package a
import ("errors"; "regexp"; "sync")
var ErrGone = errors.New("gone")
var form = regexp.MustCompile("a")
var table = map[string]int{"a": 1}
var _ error = (*e)(nil)
var mu sync.Mutex
var count = 0
var cache = map[string]int{}
var started = now()
var plain int
func f() { count++; cache["a"] = 1 }
`,
		"a/b.go": "package a\nfunc g() { cache := 1; cache = 2; _ = cache }",
	}, []string{"cache is written", "count is written", "mu has no value", "plain has no value", "started"}},

	{"names say what is inside", names, map[string]string{
		"util/a.go":      "package util",
		"a/helpers/a.go": "package helpers",
		"a/models/a.go":  "package models",
		"a/good/a.go":    "package good",
	}, []string{"a/helpers", "a/models", "util"}},

	{"nothing is left for later", leftovers, map[string]string{
		"a/a.go": "package a\n// TO" + "DO: all of it\n// FIX" + "ME too\n",
		"b/b.go": "package b\nconst toDoList = 1\n",
	}, []string{"a/a.go:2", "a/a.go:3"}},

	{"tests say what they prove", testSentences, map[string]string{
		"a/a_test.go": "package a\nimport \"testing\"\nfunc TestX(t *testing.T) {}\n\n// It holds.\nfunc TestY(t *testing.T) {}\nfunc TestMain(m *testing.M) {}",
	}, []string{"TestX"}},
}

// Every rule holds for the house as it stands.
func TestRules(t *testing.T) {
	t.Parallel()
	tr, err := house()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, finding := range r.check(tr) {
				t.Error(finding)
			}
		})
	}
}

// Every rule finds what is planted against it, and nothing else.
func TestRulesFindBreaches(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			found := withoutExceptionNotes(r.check(plant(t, r.breach)))
			sort.Strings(found)
			if len(found) != len(r.want) {
				t.Fatalf("found %d, want %d:\n%s", len(found), len(r.want), cmp.Diff(r.want, found))
			}
			for i, w := range r.want {
				if !strings.Contains(found[i], w) {
					t.Errorf("finding %d is %q, want something with %q", i, found[i], w)
				}
			}
		})
	}
}

const unneeded = "exception no longer needed: "

// exceptions is a list of names that may break a rule, each with its reason. It finds reasons that are no longer needed.
type exceptions map[string]string

// check drops the findings that are excused. Each finding is made for one name.
func (e exceptions) check(found map[string]string) []string {
	var out []string
	for name, finding := range found {
		if e[name] == "" {
			out = append(out, finding)
		}
	}
	for name := range e {
		if found[name] == "" {
			out = append(out, fmt.Sprintf("%s%s", unneeded, name))
		}
	}
	sort.Strings(out)
	return out
}

func withoutExceptionNotes(found []string) []string {
	var out []string
	for _, f := range found {
		if !strings.HasPrefix(f, unneeded) {
			out = append(out, f)
		}
	}
	return out
}
