package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"penstock/config"
	"penstock/gateway"
	"penstock/limit"
)

// check judges what the values of a file mean together.
func (s *source) check(routes map[string]gateway.Access) error {
	for _, check := range []func(map[string]gateway.Access) error{s.checkAddresses, s.checkLimits, s.checkAPIs, s.checkRules, s.checkShedding} {
		if err := check(routes); err != nil {
			return err
		}
	}
	return nil
}

// checkAddresses refuses a list of the allowed that has nobody: it could be read as nobody, and as everybody.
func (s *source) checkAddresses(map[string]gateway.Access) error {
	keys := []string{"addresses.allow"}
	for i := range s.Rules {
		keys = append(keys, "rules["+strconv.Itoa(i)+"].addresses.allow")
	}
	for _, key := range keys {
		if n := s.nodes[key]; n != nil && len(n.Content) == 0 {
			return s.at(key, "names nobody; leave it out to let everybody in")
		}
	}
	return nil
}

// reservedLimits begins the names of the limits that the quotas of apps make.
const reservedLimits = "app-quota-"

func (s *source) checkLimits(routes map[string]gateway.Access) error {
	for i, r := range s.Limits {
		key := "limits[" + strconv.Itoa(i) + "]"
		if err := r.Validate(); err != nil {
			return s.at(key, err.Error())
		}
		if wait := r.LongestWait(); wait > gateway.MaxHold {
			p := s.at(key+".burst", fmt.Sprintf("would hold calls back for up to %v: at most %v, so that connections do not pile up", wait, gateway.MaxHold))
			p.Example = "rate: 50/s, burst: 100"
			return p
		}
		if strings.HasPrefix(r.Name, reservedLimits) {
			return s.at(key+".name", "begins as the names of the quotas of apps do, "+reservedLimits)
		}
		for j := range i {
			if s.Limits[j].Name == r.Name {
				return s.at(key+".name", "is the name of another limit too")
			}
		}
		for _, list := range []struct {
			key    string
			routes []string
		}{{".routes", r.Routes}, {".except", r.Except}} {
			if err := s.patterns(key+list.key, list.routes, routes); err != nil {
				return err
			}
		}
		if err := s.overridden(key+".overrides.", r, routes); err != nil {
			return err
		}
	}
	if err := limit.Validate(s.Limits); err != nil {
		return s.at("limits", err.Error())
	}
	return nil
}

// overridden refuses another rate for a route that there is not: it would never count.
func (s *source) overridden(key string, r limit.Rule, routes map[string]gateway.Access) error {
	at := slices.Index(r.By, limit.ByAPI)
	if at < 0 {
		return nil
	}
	for _, value := range sorted(r.Overrides) {
		api := strings.Split(value, "|")[at]
		if _, known := routes[api]; !known {
			p := s.at(key+value, "is for "+strconv.Quote(api)+", which is no route")
			p.Value, p.Near, p.Example = "", meant(routes, api), "overrides: {\"GET /v1/orders\": 6000/m}"
			return p
		}
	}
	return nil
}

// apiName has words as package partner lets apps have them: what it could not give to an app is a slip.
var apiName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$`)

func (s *source) checkAPIs(routes map[string]gateway.Access) error {
	owner := map[string]string{}
	for _, name := range sorted(s.APIs) {
		if len(name) > 64 || !apiName.MatchString(name) {
			p := s.at("apis."+name, "is no name of an API: two words or more in lower case with dots between")
			p.Value = ""
			return p
		}
		if err := s.patterns("apis."+name, s.APIs[name], routes); err != nil {
			return err
		}
		for i, p := range s.APIs[name] {
			if other, taken := owner[p]; taken {
				return s.at(fmt.Sprintf("apis.%s[%d]", name, i), "belongs to the API "+other+" already")
			}
			owner[p] = name
		}
	}
	return nil
}

func (s *source) checkBreakers(map[string]gateway.Access) error {
	for _, name := range sorted(s.Breakers) {
		if err := s.Breakers[name].options().Validate(); err != nil {
			return s.at("breakers."+name, err.Error())
		}
	}
	return nil
}

func (s *source) checkShedding(map[string]gateway.Access) error {
	if s.Shedding == nil {
		return nil
	}
	if err := s.Shedding.options().Validate(); err != nil {
		field, _, _ := strings.Cut(err.Error(), " ")
		return s.at("shedding."+field, err.Error())
	}
	return nil
}

func (s *source) checkRules(routes map[string]gateway.Access) error {
	for i, r := range s.Rules {
		key := "rules[" + strconv.Itoa(i) + "]"
		if len(r.Match) == 0 {
			return s.at(key, "says nothing about which routes it is for: match is missing")
		}
		if err := s.patterns(key+".match", r.Match, routes); err != nil {
			return err
		}
		for _, name := range sorted(r.Stages) {
			at := key + ".stages." + name
			if _, ok := gateway.ParseStage(name); !ok {
				p := s.at(at, "there is no such stage; there are "+strings.Join(gateway.StageNames(), ", "))
				p.Value, p.Near = "", config.Nearest(name, gateway.StageNames())
				return p
			}
			if name == "token" && !r.Stages[name] {
				if err := s.anyoneOnly(at, r, routes); err != nil {
					return err
				}
			}
		}
		if _, ok := s.Breakers[r.Breaker]; r.Breaker != "" && !ok {
			p := s.at(key+".breaker", "is not among breakers")
			p.Near = config.Nearest(r.Breaker, sorted(s.Breakers))
			return p
		}
	}
	return nil
}

// anyoneOnly refuses to leave a route without the caller that it needs.
func (s *source) anyoneOnly(key string, r Rule, routes map[string]gateway.Access) error {
	for _, name := range sorted(routes) {
		if routes[name] != gateway.ByAnyone && matches(r.Match, name) {
			p := s.at(key, "cannot be: "+name+" must know who calls")
			p.Example = "token: on"
			return p
		}
	}
	return nil
}

// meant is the route of the same method whose path a pattern comes close to, or "".
func meant(routes map[string]gateway.Access, pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	var paths []string
	for _, name := range sorted(routes) {
		if p, same := strings.CutPrefix(name, method+" "); same {
			paths = append(paths, p)
		}
	}
	if near := config.Nearest(path, paths); near != "" {
		return method + " " + near
	}
	return ""
}

// patterns refuses names of routes that there are not.
func (s *source) patterns(key string, patterns []string, routes map[string]gateway.Access) error {
	for i, p := range patterns {
		at := key + "[" + strconv.Itoa(i) + "]"
		found := false
		for name := range routes {
			found = found || match(p, name)
		}
		if !found {
			problem := s.at(at, "is no route")
			problem.Near = meant(routes, p)
			problem.Example = "GET /v1/orders, or GET /v1/* for all that begin so"
			return problem
		}
	}
	return nil
}

func matches(patterns []string, route string) bool {
	for _, p := range patterns {
		if match(p, route) {
			return true
		}
	}
	return false
}

// match reports whether a pattern is for a route; a "*" at its end stands for anything.
func match(pattern, route string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return pattern == route || open && strings.HasPrefix(route, prefix)
}
