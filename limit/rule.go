package limit

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"penstock/limit/driver"
)

// Algorithm says how a rate is measured: sliding-window (the default), token-bucket or leaky-bucket.
type Algorithm = driver.Algorithm

// Algorithms.
const (
	SlidingWindow = driver.SlidingWindow
	TokenBucket   = driver.TokenBucket
	LeakyBucket   = driver.LeakyBucket
)

// Dimension is what calls are counted by.
type Dimension string

// Dimensions. An address is counted as [AddrKey] says; an API is whatever name the caller gives it, such as a route.
const (
	ByIP   Dimension = "ip"
	ByUser Dimension = "user"
	ByApp  Dimension = "app"
	ByAPI  Dimension = "api"
)

// Rule is one limit, as it stands in a policy file:
//
//	name: partner-orders
//	by: [app, api]              # one count for each app and API; without any, one count for all
//	algorithm: token-bucket     # or sliding-window (the default), leaky-bucket
//	rate: 50/s
//	burst: 100
//	overrides: {acme|GET /v1/orders: 500/s, trusted|GET /v1/orders: off}
//	routes: [GET /v1/*]         # all when empty
//	except: [GET /v1/health]
//
// A rule applies to a call that has a value for each of its dimensions and whose API is among Routes and not among Except.
type Rule struct {
	// Name is told to those who are refused: letters, digits, "-", "_" and ".", at most 64, unique in a set.
	Name string `yaml:"name" json:"name"`
	// By are the dimensions that are counted by, together.
	By        []Dimension `yaml:"by" json:"by,omitempty"`
	Algorithm Algorithm   `yaml:"algorithm" json:"algorithm"`
	// Rate is what one value may call; off leaves only the overrides.
	Rate Rate `yaml:"rate" json:"rate"`
	// Burst is the size of a token bucket (0: the calls of the rate), or how many calls may wait in a leaky one (0: none).
	Burst int `yaml:"burst" json:"burst,omitempty"`
	// Overrides are other rates for some values; of several dimensions the values are joined by "|" in the order of By. Burst
	// grows and shrinks with the rate.
	Overrides map[string]Rate `yaml:"overrides" json:"overrides,omitempty"`
	// Routes and Except are names of APIs; a "*" at the end stands for anything.
	Routes []string `yaml:"routes" json:"routes,omitempty"`
	Except []string `yaml:"except" json:"except,omitempty"`
}

// Presets are the usual rules: 100 calls a minute for an address, 1000 for a user, 10000 for an API. The names in free are APIs
// without a limit for all callers together, such as the route of attempts.
func Presets(free ...string) []Rule {
	perMinute := func(n int) Rate { return Rate{Calls: n, Per: time.Minute} }
	return []Rule{
		{Name: "ip", By: []Dimension{ByIP}, Rate: perMinute(100)},
		{Name: "user", By: []Dimension{ByUser}, Rate: perMinute(1000)},
		{Name: "api", By: []Dimension{ByAPI}, Rate: perMinute(10000), Except: free},
	}
}

// Bucket is the usual token bucket, 100 at once and 50 a second, counted by the dimensions.
func Bucket(name string, by ...Dimension) Rule {
	return Rule{Name: name, By: by, Algorithm: TokenBucket, Rate: Rate{Calls: 50, Per: time.Second}, Burst: 100}
}

// maxBurst bounds what a bucket holds.
const maxBurst = 1_000_000

// Validate says which field of the rule is wrong and what is allowed.
func (r Rule) Validate() error {
	switch {
	case !goodName(r.Name):
		return fmt.Errorf("limit %q: a name has 1 to 64 letters, digits, \"-\", \"_\" or \".\", for example ip", r.Name)
	case r.Algorithm > LeakyBucket:
		return fmt.Errorf("limit %s: there is no algorithm %d", r.Name, r.Algorithm)
	case r.Rate.Off() && len(r.Overrides) == 0:
		return fmt.Errorf("limit %s: rate is off and there are no overrides; write a rate such as 100/m, or take the rule out", r.Name)
	case r.Burst < 0 || r.Burst > maxBurst:
		return fmt.Errorf("limit %s: burst is %d: it must be between 0 and %d", r.Name, r.Burst, maxBurst)
	case r.Burst != 0 && r.Algorithm == SlidingWindow:
		return fmt.Errorf("limit %s: burst is %d, but a sliding-window has none; write algorithm: token-bucket", r.Name, r.Burst)
	}
	for i, d := range r.By {
		if !slices.Contains([]Dimension{ByIP, ByUser, ByApp, ByAPI}, d) || slices.Contains(r.By[:i], d) {
			return fmt.Errorf("limit %s: by has %q: write each of ip, user, app and api at most once", r.Name, d)
		}
	}
	return r.validateRates()
}

func (r Rule) validateRates() error {
	for _, list := range [][]string{r.Routes, r.Except} {
		if i := slices.IndexFunc(list, func(s string) bool { return s == "" || strings.Contains(strings.TrimSuffix(s, "*"), "*") }); i >= 0 {
			return fmt.Errorf("limit %s: %q is no name of an API: a * may only stand at the end, as in GET /v1/*", r.Name, list[i])
		}
	}
	if err := r.validRate(r.Rate); err != nil {
		return fmt.Errorf("limit %s: rate: %w", r.Name, err)
	}
	type of struct {
		ip             netip.Addr
		user, app, api string
	}
	seen := map[of]string{}
	for _, value := range slices.Sorted(maps.Keys(r.Overrides)) {
		rate := r.Overrides[value]
		who, err := r.values(value)
		if err != nil {
			return fmt.Errorf("limit %s: overrides: %q: %w", r.Name, value, err)
		}
		k := of{who.IP, who.User, who.App, who.API}
		if other, twice := seen[k]; twice {
			return fmt.Errorf("limit %s: overrides: %q and %q are counted as one; write one of them", r.Name, other, value)
		}
		seen[k] = value
		if err := r.validRate(rate); err != nil {
			return fmt.Errorf("limit %s: overrides: %q: %w", r.Name, value, err)
		}
	}
	return nil
}

// validRate refuses what a bucket cannot measure: it counts in whole nanoseconds per call.
func (r Rule) validRate(rate Rate) error {
	if rate.Off() {
		return nil
	}
	if rate.Calls < 0 || rate.Calls > MaxCalls || rate.Per < time.Millisecond || rate.Per > 31*24*time.Hour {
		return fmt.Errorf("%d calls in %v is out of range: at most %d calls in 1ms to 31d", rate.Calls, rate.Per, MaxCalls)
	}
	if r.Algorithm != SlidingWindow && rate.Per < time.Duration(rate.Calls)*time.Microsecond {
		return fmt.Errorf("%v is too fast for a %v: at most one call a microsecond", rate, r.Algorithm)
	}
	if span := r.plan(rate).Span(); r.Algorithm != SlidingWindow && span > 62*24*time.Hour {
		return fmt.Errorf("a burst of %d at %v takes %v to come back: at most 62d", r.Burst, rate, span)
	}
	return nil
}

// values reads the key of an override.
func (r Rule) values(text string) (who Subject, err error) {
	parts := []string{text}
	if len(r.By) > 1 {
		parts = strings.Split(text, "|")
	}
	if len(r.By) == 0 || len(parts) != len(r.By) {
		return who, fmt.Errorf("the rule counts by %d dimensions; write that many values with | between them", len(r.By))
	}
	for i, d := range r.By {
		switch d {
		case ByUser:
			who.User = parts[i]
		case ByApp:
			who.App = parts[i]
		case ByAPI:
			who.API = parts[i]
		case ByIP:
			a, err := netip.ParseAddr(strings.TrimSuffix(parts[i], "/64"))
			if err != nil {
				return who, errors.New("that is no address; write one such as 192.0.2.1 or 2001:db8::/64")
			}
			who.IP = AddrKey(a)
		}
		if parts[i] == "" {
			return who, fmt.Errorf("the value of %s is empty", d)
		}
	}
	return who, nil
}

// plan is the rule at a rate.
func (r Rule) plan(rate Rate) driver.Plan {
	p := driver.Plan{Algorithm: r.Algorithm, Calls: rate.Calls, Per: rate.Per}
	if r.Algorithm == SlidingWindow {
		return p
	}
	burst := float64(r.Burst)
	if r.Burst == 0 && r.Algorithm == TokenBucket {
		burst = float64(rate.Calls)
	} else if !r.Rate.Off() {
		burst *= float64(rate.Calls) / float64(r.Rate.Calls) * (float64(r.Rate.Per) / float64(rate.Per))
	}
	p.Burst = int(min(burst+0.5, maxBurst))
	if r.Algorithm == TokenBucket {
		p.Burst = max(p.Burst, 1)
	}
	return p
}

// LongestWait is how long a call may have to wait for its turn in a leaky bucket; 0 for other algorithms.
func (r Rule) LongestWait() (longest time.Duration) {
	if r.Algorithm != LeakyBucket {
		return 0
	}
	for _, rate := range append(slices.Collect(maps.Values(r.Overrides)), r.Rate) {
		if !rate.Off() {
			m := meterOf(r.plan(rate))
			longest = max(longest, time.Duration((m.size-1)*m.every))
		}
	}
	return longest
}

// applies reports whether calls of the API meet the rule.
func (r *Rule) applies(api string) bool {
	return (len(r.Routes) == 0 || named(r.Routes, api)) && !named(r.Except, api)
}

func named(list []string, api string) bool {
	for _, s := range list {
		if prefix, open := strings.CutSuffix(s, "*"); s == api || open && strings.HasPrefix(api, prefix) {
			return true
		}
	}
	return false
}

func goodName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
