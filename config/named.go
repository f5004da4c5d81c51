package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Named is a service elsewhere and what it is called here.
type Named struct{ Name, URL string }

// named is a list of name=URL.
type named struct{ p *[]Named }

func (v named) kind() string { return "list of name=URL" }
func (v named) String() string {
	all := make([]string, len(*v.p))
	for i, n := range *v.p {
		all[i] = n.Name + "=" + n.URL
	}
	return strings.Join(all, ", ")
}

func (v named) set(s string) error {
	var all []Named
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, link, ok := strings.Cut(part, "=")
		u, err := url.Parse(link)
		switch {
		case !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || len(name) > 64:
			return fmt.Errorf("has %q in it, which is not name=URL with a name of a–z 0–9 _ -", part)
		case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return fmt.Errorf("has a URL for %s that is not http(s) without user, query and fragment", name)
		case slices.ContainsFunc(all, func(n Named) bool { return n.Name == name }):
			return errors.New("has the name " + name + " twice")
		case name == "stock" || name == "order" || name == "balance":
			return errors.New("names " + name + ", which is this Penstock's own; choose another name")
		}
		all = append(all, Named{name, strings.TrimRight(link, "/")})
	}
	*v.p = all
	return nil
}
