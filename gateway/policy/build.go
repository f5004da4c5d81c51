package policy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/gateway/upstream"
	"penstock/limit"
	"penstock/shed"
)

// built is a policy with everything that it is made of, ready to be used.
type built struct {
	file     *source
	routes   map[string]gateway.Access
	policy   *gateway.Policy
	rules    []limit.Rule // in force
	address  *limit.Set   // nil when there is no such rule
	callers  *limit.Set
	shedding Shedding      // of the file, or the defaults
	shedder  *shed.Shedder // never nil
	breakers map[string]*breaker.Breaker
	forwards *upstream.Set // nil when this process forwards nothing
}

// build reads a file and makes all that it asks for. What before has and the file does not change is taken over. Nothing is
// started and nobody uses it yet. Errors are *Problem.
func (r Rooms) build(text []byte, before *built) (*built, error) {
	src, err := parse(text)
	if err != nil {
		return nil, err
	}
	if before == nil {
		before = &built{}
	}
	if err := src.checkBreakers(nil); err != nil {
		return nil, err
	}
	b := &built{file: src}
	for _, part := range []func(Rooms, *built) error{b.makeBreakers, b.makeForwards} {
		if err := part(r, before); err != nil {
			return nil, err
		}
	}
	up := b.upstreams()
	b.routes = r.known(up)
	if err := src.check(b.routes); err != nil {
		return nil, err
	}
	for _, part := range []func(Rooms, *built) error{b.makeLimits, b.makeShedder} {
		if err := part(r, before); err != nil {
			return nil, err
		}
	}
	rules := map[string]gateway.Rule{}
	for name := range b.routes {
		if rules[name], err = b.rule(r, name); err != nil {
			return nil, err
		}
	}
	b.policy = &gateway.Policy{Upstreams: up, Rule: func(route string) gateway.Rule {
		if rule, ok := rules[route]; ok {
			return rule
		}
		return rules[gateway.Unmatched]
	}}
	return b, nil
}

// makeLimits parts the rules: what counts by address, and by nothing that only a token tells, is taken before the token.
func (b *built) makeLimits(r Rooms, before *built) error {
	b.rules = b.file.Limits
	if b.rules == nil {
		b.rules = r.Limits
	}
	if r.Quotas != nil {
		b.rules = append(slices.Clip(b.rules), r.Quotas()...)
	}
	var address, callers []limit.Rule
	for _, rule := range b.rules {
		if early(rule) {
			address = append(address, rule)
		} else {
			callers = append(callers, rule)
		}
	}
	var err error
	if b.address, err = r.set(address, before.address); err == nil {
		b.callers, err = r.set(callers, before.callers)
	}
	if err != nil {
		return b.file.at("limits", err.Error())
	}
	return nil
}

func early(r limit.Rule) bool {
	return slices.Contains(r.By, limit.ByIP) && !slices.Contains(r.By, limit.ByUser) && !slices.Contains(r.By, limit.ByApp)
}

func (r Rooms) set(rules []limit.Rule, from *limit.Set) (*limit.Set, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	o := r.Limit
	o.From = from
	return limit.NewSet(rules, o)
}

func (b *built) makeShedder(r Rooms, before *built) (err error) {
	if b.file.Shedding != nil {
		b.shedding = *b.file.Shedding
	}
	if before.shedder != nil && reflect.DeepEqual(before.shedding, b.shedding) {
		b.shedder = before.shedder
		return nil
	}
	o := b.shedding.options()
	o.Clock, o.Tick, o.Pressure = r.Shed.Clock, r.Shed.Tick, r.Shed.Pressure
	if b.shedder, err = shed.New(o); err != nil {
		return b.file.at("shedding", err.Error())
	}
	return nil
}

func (b *built) makeBreakers(r Rooms, before *built) error {
	b.breakers = map[string]*breaker.Breaker{}
	for _, name := range sorted(b.file.Breakers) {
		want := b.file.Breakers[name]
		if old := before.breakers[name]; old != nil && before.file.Breakers[name] == want {
			b.breakers[name] = old
			continue
		}
		o := want.options()
		if r.Break != nil {
			o.OnChange = r.Break(name).OnChange
		}
		made, err := breaker.New(o)
		if err != nil {
			return b.file.at("breakers."+name, err.Error())
		}
		b.breakers[name] = made
	}
	return nil
}

// rule is how the calls of a route pass the chain.
func (b *built) rule(r Rooms, route string) (gateway.Rule, error) {
	out := gateway.Rule{Class: classOf(route), APIs: b.apis(r, route)}
	if route == gateway.CallbackRoute {
		out.Off = gateway.StageIPLimit
	}
	allow, deny := b.file.Addresses.Allow, b.file.Addresses.Deny
	addressOff := ""
	for i, rule := range b.file.Rules {
		if !matches(rule.Match, route) {
			continue
		}
		for name, on := range rule.Stages {
			stage, _ := gateway.ParseStage(name)
			if out.Off |= stage; on {
				out.Off &^= stage
			}
			if stage == gateway.StageAddress {
				addressOff = fmt.Sprintf("rules[%d].stages.address", i)
			}
		}
		if len(rule.Addresses.Allow) > 0 {
			allow = rule.Addresses.Allow
		}
		deny = append(slices.Clip(deny), rule.Addresses.Deny...)
		if rule.Class != nil {
			out.Class = shed.Class(*rule.Class)
		}
		if rule.MaxBody != 0 {
			out.MaxBody = int64(rule.MaxBody)
		}
		if rule.Breaker != "" {
			out.Breaker = b.breakers[rule.Breaker]
		}
	}
	out.Allow, out.Deny = addresses(allow), addresses(deny)
	out.Shedder = b.shedder
	b.limit(&out, route)
	return out, b.located(addressOff, &out)
}

// limit gives a route the sets that have a rule for it.
func (b *built) limit(out *gateway.Rule, route string) {
	for _, rule := range b.rules {
		switch {
		case !b.applies(rule, route):
		case early(rule):
			out.Address = b.address
		default:
			out.Limits = b.callers
		}
	}
}

func (b *built) applies(rule limit.Rule, route string) bool {
	return (len(rule.Routes) == 0 || matches(rule.Routes, route)) && !matches(rule.Except, route)
}

// located refuses to leave stages that look at the address without it.
func (b *built) located(key string, r *gateway.Rule) error {
	if !r.Off.Has(gateway.StageAddress) {
		return nil
	}
	for stage, wants := range map[gateway.Stage]bool{gateway.StageLists: r.Allow != nil || r.Deny != nil, gateway.StageIPLimit: r.Address != nil} {
		if wants && !r.Off.Has(stage) {
			p := b.file.at(key, "cannot be while the stage "+stage.String()+" is on: it looks at the address")
			p.Example = "stages: {address: off, lists: off, ipLimit: off}"
			return p
		}
	}
	return nil
}

func (b *built) apis(r Rooms, route string) []string {
	var all []string
	for _, name := range sorted(b.file.APIs) {
		if matches(b.file.APIs[name], route) {
			all = append(all, name)
		}
	}
	if all == nil && r.APIs[route] != "" {
		all = []string{r.APIs[route]}
	}
	return all
}

// addresses is nil for no networks.
func addresses(networks []Network) *gateway.Addresses {
	if len(networks) == 0 {
		return nil
	}
	all := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		all[i] = netip.Prefix(n)
	}
	return gateway.NewAddresses(all)
}

// Check says what is wrong with a policy file, or nil. Nothing is started and nobody is asked. Errors are *Problem.
func (r Rooms) Check(text []byte) error {
	_, err := r.build(text, nil)
	return err
}
