// Package limit counts calls and refuses those over a rate.
//
// A [Limiter] applies one rate to each key, in this process. A [Set] takes several rules at once, each by its own dimensions and
// algorithm, in this process or, with SetOptions.Shared, for all instances together.
//
// The window of a Limiter, and of the algorithm sliding-window, slides: in no stretch of time as long as the period are more calls allowed than the rate says, and a refused call
// does not count, so that hammering does not prolong a refusal. Up to 16 calls per period the count is exact; above that it is
// kept in fifteenths of the period and errs on the strict side, so that evenly spaced traffic gets at least 15/16 of the rate.
//
// Memory is bounded: idle keys are swept, and when the bound is reached the key that was used longest ago is forgotten (it
// then starts afresh). What is counted in this process is lost with it; what is shared lasts as its driver says. Time is
// monotonic. Everything is safe for concurrent use; keys are spread over shards with a lock each. DESIGN.md has the algorithms
// and how wrong a count can be while the shared counters are away.
package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxCalls is the largest number of calls per period.
const MaxCalls = 10_000_000

// Rate is a number of calls per period. The zero Rate is off: everything is allowed.
type Rate struct {
	Calls int
	Per   time.Duration
}

// Parse reads "100/m", "1/s", "20/10s" (units s, m, h, d) or "off".
func Parse(s string) (Rate, error) {
	if s == "off" {
		return Rate{}, nil
	}
	calls, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(calls)
	d := period(per)
	if !ok || err != nil || n < 1 || n > MaxCalls || d < time.Millisecond || d > 31*24*time.Hour {
		return Rate{}, fmt.Errorf("%q is not a rate: write calls/period such as 100/m, 1/s or 20/10s (at most %d calls in 1ms to 31d), or off", s, MaxCalls)
	}
	return Rate{Calls: n, Per: d}, nil
}

// period reads a unit or a number with a unit; 0 means that it is neither.
func period(s string) time.Duration {
	if s != "" && (s[0] < '0' || s[0] > '9') {
		s = "1" + s
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 31 {
			return 0
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}

// Off reports whether the rate allows everything.
func (r Rate) Off() bool { return r.Calls == 0 }

// String returns the form that Parse reads.
func (r Rate) String() string {
	if r.Off() {
		return "off"
	}
	for unit, d := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if r.Per == d {
			return strconv.Itoa(r.Calls) + "/" + unit
		}
	}
	return strconv.Itoa(r.Calls) + "/" + r.Per.String()
}

// MarshalText writes the form that Parse reads.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is Parse.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = Parse(string(text))
	return err
}
