package limit

import (
	"crypto/sha256"
	"strconv"
)

// maxText is the longest value that stands in the name of a shared counter as it is.
const maxText = 64

// name returns the name of the counter that a call meets, for shared counters: each value with its length before it, so that no
// two are alike.
func (t *table) name(who *Subject) string {
	b := append(make([]byte, 0, 96), t.rule.Name...)
	if t.by.ip {
		b = AddrKey(who.IP).AppendTo(append(b, ":i"...))
	}
	b = value(b, 'u', t.by.user, who.User)
	b = value(b, 'a', t.by.app, who.App)
	b = value(b, 'r', t.by.api, who.API)
	return string(b)
}

// value appends a value if the rule counts by it. Whoever sends long ones must not fill the memory of others.
func value(b []byte, kind byte, by bool, v string) []byte {
	switch {
	case !by:
		return b
	case len(v) > maxText:
		sum := sha256.Sum256([]byte(v))
		return append(append(b, ':', kind, '#'), sum[:]...)
	}
	return append(append(strconv.AppendInt(append(b, ':', kind), int64(len(v)), 10), '.'), v...)
}
