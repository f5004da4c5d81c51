package config

import (
	"errors"
	"slices"
	"strings"
)

// Credential is what a service elsewhere is shown by us.
type Credential struct {
	Name  string
	Token string `json:"-"`
}

// String does not tell the token.
func (c Credential) String() string { return c.Name + "=" + stars }

// credentials is a list of name=token. Its errors repeat nothing: what looks like a name may be a token.
type credentials struct{ p *[]Credential }

func (v credentials) kind() string { return "list of name=token" }

func (v credentials) String() string {
	all := make([]string, len(*v.p))
	for i, c := range *v.p {
		all[i] = c.Name + "=" + c.Token
	}
	return strings.Join(all, ", ")
}

func (v credentials) set(s string) error {
	var all []Credential
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, token, ok := strings.Cut(part, "=")
		switch {
		case !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || len(name) > 64:
			return errors.New("has an item that is not name=token with a name of a–z 0–9 _ -")
		case token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) || len(token) > 4096:
			return errors.New("has a token that is not 1 to 4096 printable ASCII characters without spaces and commas")
		case slices.ContainsFunc(all, func(c Credential) bool { return c.Name == name }):
			return errors.New("has a name twice")
		}
		all = append(all, Credential{name, token})
	}
	*v.p = all
	return nil
}
