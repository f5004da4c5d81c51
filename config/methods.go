package config

import (
	"fmt"
	"slices"
	"strings"
)

// methods is a list of payment methods, at least one.
type methods struct {
	p   *[]string
	all []string
}

func (v methods) kind() string   { return "list of " + strings.Join(v.all, ", ") }
func (v methods) String() string { return strings.Join(*v.p, ",") }
func (v methods) set(s string) error {
	var list []string
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(v.all, name) {
			return fmt.Errorf("names the payment method %q; this build has %s", name, strings.Join(v.all, ", "))
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	*v.p = list
	return nil
}
