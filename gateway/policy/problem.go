package policy

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a policy file.
type Problem struct {
	Line int
	// Key is the path of the value, such as rules[2].stages.token.
	Key, Value string
	// What follows the value, such as "is neither on nor off". Example is a line that would work; Near the known name closest to
	// an unknown one.
	What, Example, Near string
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	if p.Value != "" {
		v := p.Value
		if len(v) > 120 {
			v = v[:120] + "…"
		}
		fmt.Fprintf(&b, "%q ", v)
	}
	b.WriteString(p.What)
	if p.Near != "" {
		fmt.Fprintf(&b, "; did you mean %s?", p.Near)
	}
	if p.Example != "" {
		b.WriteString("; write for example " + p.Example)
	}
	return b.String()
}

// examples are lines that work, by the last name of a key.
var examples = map[string]string{
	"": "limits: []", "addresses": "addresses: {deny: [203.0.113.0/24]}", "allow": "allow: [198.51.100.0/24]", "deny": "deny: [203.0.113.0/24, \"2001:db8::/48\"]",
	"limits": "limits: [{name: ip, by: [ip], rate: 100/m}]", "name": "name: ip", "by": "by: [ip]", "algorithm": "algorithm: token-bucket", "rate": "rate: 100/m",
	"burst": "burst: 200", "overrides": "overrides: {192.0.2.1: 500/m}", "except": "except: [POST /v1/sales/{sale}/attempts]",
	"apis": "apis: {orders.read: [GET /v1/orders]}", "rules": "rules: [{match: [GET /v1/sales*], maxBody: 1KiB}]", "match": "match: [GET /v1/orders/{order}]",
	"stages": "stages: {shedding: off}", "maxBody": "maxBody: 64KiB", "class": "class: browsing", "breaker": "breaker: payments",
	"shedding": "shedding: {inFlight: 2048}", "capacity": "capacity: 5000", "inFlight": "inFlight: 2048", "floor": "floor: 256", "target": "target: 30ms",
	"waiting": "waiting: 2048", "patience": "patience: {paying: 2s}", "breakers": "breakers: {payments: {failures: 5, open: 30s}}",
	"failures": "failures: 5", "window": "window: 10s", "successes": "successes: 2", "open": "open: 30s", "slow": "slow: 2s",
	"upstreams": "upstreams: {catalog: {targets: [http://10.0.0.5:9000]}}", "routes": "routes: [{match: GET /ext/products/{id}, upstream: catalog}]",
	"targets": "targets: [http://10.0.0.5:9000]", "protocol": "protocol: http2", "connect": "connect: 2s", "retryBudget": "retryBudget: 10%", "every": "every: 5s", "down": "down: 3", "up": "up: 2",
	"for": "for: 10s", "most": "most: 50%", "access": "access: anyone", "timeout": "timeout: 3s", "try": "try: 1s", "hedge": "hedge: 200ms", "idle": "idle: 2m",
	"maxAnswer": "maxAnswer: 4MiB", "from": "from: json", "to": "to: form", "connections": "connections: 256", "streams": "streams: 1000", "upstream": "upstream: catalog",
}

// example returns a line that works for a key.
func example(key string) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	last, _, _ = strings.Cut(last, "[")
	parent, _, found := cutLast(key)
	if found && strings.HasSuffix(parent, ".stages") { // stages have names that keys have too
		if last == "token" {
			return "token: on"
		}
		return last + ": off"
	}
	if e, ok := examples[last]; ok {
		return e
	}
	switch {
	case found && strings.HasSuffix(parent, "patience"):
		return "paying: 2s"
	case found && strings.HasSuffix(parent, "breakers"):
		return "payments: {failures: 5, open: 30s}"
	case found:
		return examples[strings.TrimLeft(parent[strings.LastIndexByte(parent, '.')+1:], "[]0123456789")]
	}
	return examples[""]
}

func cutLast(key string) (parent, last string, found bool) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}
