package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"penstock/breaker"
	"penstock/gateway/upstream"
	"penstock/limit"
	"penstock/shed"
)

// File is a policy as it is written.
type File struct {
	// Addresses are the lists for all routes.
	Addresses Lists `yaml:"addresses"`
	// Limits replace the built-in ones; nil leaves them, an empty list means none.
	Limits []limit.Rule `yaml:"limits"`
	// APIs are the APIs that apps can be given: name → routes. A route named here leaves the API that it belongs to otherwise.
	APIs map[string][]string `yaml:"apis"`
	// Rules change how routes pass the chain; of two that speak about the same, the later counts.
	Rules    []Rule             `yaml:"rules"`
	Shedding *Shedding          `yaml:"shedding"`
	Breakers map[string]Breaker `yaml:"breakers"`
	// Upstreams and Routes are of the room that forwards calls to other services.
	Upstreams map[string]upstream.Upstream `yaml:"upstreams"`
	Routes    []upstream.Route             `yaml:"routes"`
}

// Lists are networks whose addresses may call, and that may not. An empty Allow means that all may.
type Lists struct {
	Allow []Network `yaml:"allow"`
	Deny  []Network `yaml:"deny"`
}

// Rule says how some routes pass the chain. What is left out stays as it is without the rule.
type Rule struct {
	// Match are names of routes, such as "GET /v1/orders/{order}"; a "*" at the end stands for anything.
	Match  []string          `yaml:"match"`
	Stages map[string]Switch `yaml:"stages"`
	// Addresses: a route's Allow takes the place of the one for all routes, its Deny is added to it.
	Addresses Lists  `yaml:"addresses"`
	MaxBody   Size   `yaml:"maxBody"`
	Class     *Class `yaml:"class"`
	// Breaker is the name of one under breakers.
	Breaker string `yaml:"breaker"`
}

// Shedding are the settings of the shedder. What is left out has the shedder's default.
type Shedding struct {
	Capacity Capacity           `yaml:"capacity" json:"capacity"`
	InFlight int                `yaml:"inFlight" json:"inFlight"`
	Floor    int                `yaml:"floor" json:"floor"`
	Target   Duration           `yaml:"target" json:"target"`
	Waiting  int                `yaml:"waiting" json:"waiting"`
	Patience map[Class]Duration `yaml:"patience" json:"patience"`
}

func (s Shedding) options() shed.Options {
	o := shed.Options{
		Capacity: float64(s.Capacity), InFlight: s.InFlight, Floor: s.Floor, Target: time.Duration(s.Target), Waiting: s.Waiting,
	}
	for class, d := range s.Patience {
		o.Patience[class] = time.Duration(d)
	}
	return o
}

// Capacity is a number of calls a second, 0 for off.
type Capacity float64

// UnmarshalText reads a number from 1, or off.
func (c *Capacity) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	switch {
	case string(text) == "off":
		v = 0
	case err != nil || !(v >= 1):
		return fmt.Errorf("is neither a number of calls a second, from 1, nor off")
	}
	*c = Capacity(v)
	return nil
}

// Breaker are the settings of a breaker. What is left out has the breaker's default.
type Breaker struct {
	Failures  int      `yaml:"failures" json:"failures"`
	Window    Duration `yaml:"window" json:"window"`
	Successes int      `yaml:"successes" json:"successes"`
	Open      Duration `yaml:"open" json:"open"`
	Slow      Duration `yaml:"slow" json:"slow"`
}

func (b Breaker) options() breaker.Options {
	return breaker.Options{
		Failures: b.Failures, Window: time.Duration(b.Window), Successes: b.Successes, Open: time.Duration(b.Open), Slow: time.Duration(b.Slow),
	}
}

// Class is a class of the shedder by its name.
type Class shed.Class

// UnmarshalText reads a name, such as browsing.
func (c *Class) UnmarshalText(text []byte) error {
	v, ok := shed.ParseClass(string(text))
	if !ok {
		return fmt.Errorf("is no class; there are exempt, paying, reading-won, confirming, attempting-with-pass, attempting, browsing and searching")
	}
	*c = Class(v)
	return nil
}

// MarshalText writes the name.
func (c Class) MarshalText() ([]byte, error) { return []byte(shed.Class(c).String()), nil }

// Network is a network, or one address.
type Network netip.Prefix

// UnmarshalText reads 203.0.113.0/24, 2001:db8::/48 or one address.
func (n *Network) UnmarshalText(text []byte) error {
	s := string(text)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		*n = Network(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("is neither a network nor an address")
	}
	*n = Network(p.Masked())
	return nil
}

// MarshalText writes the network.
func (n Network) MarshalText() ([]byte, error) { return netip.Prefix(n).MarshalText() }

// Switch is on or off.
type Switch bool

// UnmarshalYAML reads on or off (true and false are the same to YAML).
func (s *Switch) UnmarshalYAML(n *yaml.Node) error {
	switch strings.ToLower(n.Value) {
	case "on", "true":
		*s = true
	case "off", "false":
		*s = false
	default:
		return fmt.Errorf("is neither on nor off")
	}
	return nil
}

// Size is a number of bytes.
type Size int64

// maxBody is the most that a policy may allow.
const maxBody = 16 << 20

// UnmarshalText reads 64KiB, 1MiB or a number of bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, u
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > maxBody/unit {
		return fmt.Errorf("is no size from 1 byte to 16MiB")
	}
	*s = Size(n * unit)
	return nil
}

// Duration is a time.Duration that is written as such in JSON too.
type Duration time.Duration

// UnmarshalText reads 50ms, 2s or 1m.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("is no duration")
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
