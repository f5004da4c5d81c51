package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The groups that are asked for run in the order of all; one that does not exist is an error, not an empty run that passes.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		only string
		want []string
		bad  bool
	}{
		{"", []string{"vet", "web", "browser"}, false},
		{"browser,web", []string{"web", "browser"}, false},
		{"web,brwser", nil, true},
	} {
		got, err := chosen([]group{{name: "vet"}, {name: "web"}, {name: "browser"}}, c.only)
		var names []string
		for _, g := range got {
			names = append(names, g.name)
		}
		if d := cmp.Diff(c.want, names); d != "" || (err != nil) != c.bad {
			t.Errorf("%q: %v\n%s", c.only, err, d)
		}
	}
}
