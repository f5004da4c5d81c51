package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// leaves calls f for every command that does something.
func leaves(c *cobra.Command, f func(*cobra.Command)) {
	if len(c.Commands()) == 0 {
		f(c)
	}
	for _, child := range c.Commands() {
		leaves(child, f)
	}
}

// In every command a number, a time or a switch that is none is refused in a sentence that names the flag, what was given and what
// is wanted, and so is one without its value; no word of the language's own parsers reaches the user.
func TestEveryFlagRefusesInWords(t *testing.T) {
	t.Parallel()
	seen := 0
	leaves(newRoot(&env{}), func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		c.Flags().VisitAll(func(f *pflag.Flag) {
			kind := f.Value.Type()
			if !slices.Contains([]string{"int", "int64", "uint64", "float64", "bool", "duration"}, kind) || f.Hidden {
				return
			}
			seen++
			for _, bad := range []string{"1x", "99999999999999999999"} {
				if kind == "float64" && bad != "1x" {
					continue
				}
				says(t, append(path, "--"+f.Name+"="+bad), "--"+f.Name+" is \""+bad+"\"; it is ")
			}
			if kind != "bool" {
				says(t, append(path, "--"+f.Name), "--"+f.Name+" needs a value")
			}
		})
	})
	if seen < 30 {
		t.Errorf("only %d flags were tried", seen)
	}
}

func says(t *testing.T, args []string, want string) {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), &env{in: strings.NewReader(""), out: &out, err: &err}, args)
	said := err.String()
	if code != exitUsage || !strings.Contains(said, want) || !strings.Contains(said, "\nhint: for example --") || strings.Contains(said, "strconv") ||
		strings.Contains(said, "parsing") || out.Len() > 0 {
		t.Errorf("%q: exit code %d, said %s%s", args, code, said, out.String())
	}
}
