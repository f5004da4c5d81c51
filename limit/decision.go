package limit

import (
	"net/netip"
	"strconv"
	"time"
)

// Subject is who calls what. A rule by a dimension that has no value here does not apply.
type Subject struct {
	// IP is the client's address as it is; the set cuts an IPv6 address to its network.
	IP netip.Addr
	// User, App and API are compared as bytes. API is a name of which there are few, such as a route.
	User, App, API string
	// Into is where Decision.Quotas are put, so that no memory has to be found for them; nil is good.
	Into []Quota
}

// Decision is what a set says to one call.
type Decision struct {
	Allowed bool
	// Rule is the name of the rule that refuses, of several the one that refuses longest; "" when allowed.
	Rule string
	// RetryAfter is how long a refused caller has to wait until no rule refuses; 0 when allowed.
	RetryAfter time.Duration
	// Wait is how long an allowed call has to be held back before it goes on; only leaky buckets ask for it.
	Wait time.Duration
	// Local says that the shared counters did not answer and this instance decided with its share.
	Local bool
	// Quotas has each rule that applied, in the order of the set.
	Quotas []Quota
}

// Quota is what one rule has left for the caller.
type Quota struct {
	Name string
	// Limit is how many calls are allowed at once, Window the time in which so many come back.
	Limit  int
	Window time.Duration
	// Remaining and Reset are as in [Result].
	Remaining int
	Reset     time.Duration
}

// Policy returns the value of the header RateLimit-Policy, such as
//
//	"ip";q=100;w=60, "user";q=1000;w=60
//
// or "" when no rule applied. Times are whole seconds, rounded up.
func (d *Decision) Policy() string {
	return d.list(func(b []byte, q *Quota) []byte {
		b = strconv.AppendInt(append(b, ";q="...), int64(q.Limit), 10)
		return strconv.AppendInt(append(b, ";w="...), seconds(q.Window), 10)
	})
}

// State returns the value of the header RateLimit, such as
//
//	"ip";r=99;t=60, "user";r=12;t=3
//
// or "" when no rule applied.
func (d *Decision) State() string {
	return d.list(func(b []byte, q *Quota) []byte {
		b = strconv.AppendInt(append(b, ";r="...), int64(q.Remaining), 10)
		return strconv.AppendInt(append(b, ";t="...), seconds(q.Reset), 10)
	})
}

func (d *Decision) list(parameters func([]byte, *Quota) []byte) string {
	if len(d.Quotas) == 0 {
		return ""
	}
	b := make([]byte, 0, 32*len(d.Quotas))
	for i := range d.Quotas {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(append(b, '"'), d.Quotas[i].Name...), '"')
		b = parameters(b, &d.Quotas[i])
	}
	return string(b)
}

// seconds rounds up: a client that comes back after that many is not early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
