package config

import (
	"fmt"
	"net"
	"strings"
)

const stars = "***"

// Problem is one thing wrong with a configuration.
type Problem struct {
	Key    string // as written; an environment variable's name when it is unknown
	Value  string // with secrets masked
	Source string // where the value was set
	What   string // follows the quoted value
	// Example is a value that works. Near is the known name closest to an unknown one. Each may be "".
	Example, Near string
}

// Masked returns s with the passwords of its URLs as stars. A password that was not escaped may hold anything: all up to the
// last @ of a URL is taken for it.
func Masked(s string) string {
	urls := strings.Split(s, "://")
	for i, u := range urls[1:] {
		at := strings.LastIndexByte(u, '@')
		if at < 0 {
			continue
		}
		if user, _, secret := strings.Cut(u[:at], ":"); secret && !strings.ContainsAny(user, "/@") {
			urls[i+1] = user + ":" + stars + u[at:]
		}
	}
	return strings.Join(urls, "://")
}

func (p Problem) Error() string {
	value := Masked(p.Value)
	if len(value) > 120 {
		value = value[:120] + "…"
	}
	s := fmt.Sprintf("%s: %q %s", p.Key, value, p.What)
	if p.Near != "" || p.Example == "" {
		s = fmt.Sprintf("%s %s (set to %q)", p.Key, p.What, value)
	}
	if p.Source != "" {
		s += " (in " + p.Source + ")"
	}
	switch {
	case p.Near != "":
		s += "; did you mean " + p.Near + "?"
	case p.Example != "":
		s += fmt.Sprintf("; write for example %q", p.Example)
	}
	return s
}

// Problems are everything wrong with a configuration, in the order found. It is an error when it is not empty.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// check finds what is wrong between keys that are each fine alone.
func check(c Config) Problems {
	var found Problems
	taken := map[string]string{}
	for _, l := range []struct{ key, addr string }{
		{"listen.public", c.Listen.Public}, {"listen.admin", c.Listen.Admin}, {"listen.probe", c.Listen.Probe}, {"listen.sandbox", c.Listen.Sandbox},
	} {
		if _, port, _ := net.SplitHostPort(l.addr); port == "0" {
			continue
		}
		if other, ok := taken[l.addr]; ok {
			found = append(found, Problem{Key: l.key, Value: l.addr, What: "is already the address of " + other, Example: "127.0.0.1:0"})
		}
		taken[l.addr] = l.key
	}
	found = append(found, checkRoles(c)...)
	if c.Batch.Wait >= c.Timeouts.Attempt {
		found = append(found, Problem{Key: "batch.wait", Value: spell(c.Batch.Wait), What: "is not shorter than timeouts.attempt, " + spell(c.Timeouts.Attempt), Example: "2ms"})
	}
	if c.DemoLogin && !loopback(c.Listen.Public) {
		found = append(found, Problem{Key: "demoLogin", Value: "true", What: "hands out identities, and listen.public, " + c.Listen.Public + ", is for more than this machine", Example: "false"})
	}
	return found
}

// loopback reports an address that only this machine reaches.
func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkRoles finds what processes with single roles need and lack.
func checkRoles(c Config) (found Problems) {
	if c.Has(RoleAll) {
		return nil
	}
	target := strings.Join(c.Target, ",")
	lack := func(key, what, example string) {
		found = append(found, Problem{Key: key, Value: "", What: what + " while target is " + target, Example: example})
	}
	if !c.Shared() && c.Has(RoleSale, RoleOrder, RoleAdmin, RoleTimers, RoleRelay, RoleSandbox) { // a gateway alone has no database
		found = append(found, Problem{Key: "stock", Value: c.Stock, What: "has one process, which has all roles; target is " + target, Example: "mysql://penstock:secret@db:3306/penstock"})
	}
	if c.Keys.File == "" {
		lack("keys.file", "is empty: every process would have keys of its own", "/etc/penstock/keys.json")
	}
	if c.Payment.Secret == "" && c.Has(RoleOrder, RoleAdmin, RoleTimers, RoleSandbox) {
		lack("payment.secret", "is empty: every process would have a secret of its own", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	}
	if c.Payment.Sandbox == "" && c.Has(RoleOrder, RoleAdmin, RoleTimers) && !c.Has(RoleSandbox) {
		lack("payment.sandbox", "is empty: the sandbox provider is in another process", "http://127.0.0.1:8082")
	}
	if c.Payment.Callback == "" && c.Has(RoleOrder, RoleAdmin, RoleTimers) && !c.Has(RoleOrder) {
		lack("payment.callback", "is empty: the provider reports to a process with role order", "http://127.0.0.1:8080")
	}
	return found
}

// Nearest returns the name closest to word by edits, or "" when none is close enough to be meant.
func Nearest(word string, names []string) string {
	best, least := "", len(word)/4+2 // one wrong letter, and one more for each four
	for _, n := range names {
		d := edits(strings.ToLower(word), strings.ToLower(n))
		if d < least || d == least && best != "" && n < best {
			best, least = n, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
