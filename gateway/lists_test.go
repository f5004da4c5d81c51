package gateway

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"penstock/errs"
)

// Denial beats permission, an empty list of the allowed is no list, and forged forwarding headers change nothing.
func TestLists(t *testing.T) {
	t.Parallel()
	networks := func(all ...string) *Addresses {
		var p []netip.Prefix
		for _, s := range all {
			p = append(p, netip.MustParsePrefix(s))
		}
		return NewAddresses(p)
	}
	for _, c := range []struct {
		name, peer, forwarded string
		rule                  Rule
		allowed               bool
	}{
		{"no lists", "192.0.2.1:1", "", Rule{}, true},
		{"denied", "192.0.2.1:1", "", Rule{Deny: networks("192.0.2.0/24")}, false},
		{"beside the denied", "192.0.3.1:1", "", Rule{Deny: networks("192.0.2.0/24")}, true},
		{"allowed", "192.0.2.1:1", "", Rule{Allow: networks("192.0.2.0/24")}, true},
		{"not allowed", "192.0.3.1:1", "", Rule{Allow: networks("192.0.2.0/24")}, false},
		{"both", "192.0.2.1:1", "", Rule{Allow: networks("192.0.2.0/24"), Deny: networks("192.0.2.1/32")}, false},
		{"both, the wider denied", "192.0.2.1:1", "", Rule{Allow: networks("192.0.2.1/32"), Deny: networks("192.0.0.0/16")}, false},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:1", "", Rule{Deny: networks("192.0.2.0/24")}, false},
		{"IPv4 network in IPv6", "192.0.2.1:1", "", Rule{Deny: networks("::ffff:192.0.2.0/120")}, false},
		{"IPv6", "[2001:db8::5]:1", "", Rule{Deny: networks("2001:db8::/64")}, false},
		{"IPv6, next network", "[2001:db8:0:1::5]:1", "", Rule{Deny: networks("2001:db8::/64")}, true},
		{"a stranger forges", "192.0.2.1:1", "198.51.100.1", Rule{Deny: networks("192.0.2.0/24")}, false},
		{"a stranger behind a proxy forges", "10.0.0.1:1", "198.51.100.1, 192.0.2.1", Rule{Deny: networks("192.0.2.0/24")}, false},
		{"allowed by a forgery", "192.0.2.1:1", "198.51.100.1", Rule{Allow: networks("198.51.100.0/24")}, false},
	} {
		b := setup(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		if err := b.g.Use(&Policy{Rule: func(string) Rule { return c.rule }}); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/x", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		w := b.do(r)
		if c.allowed != (w.Code == http.StatusNoContent) {
			t.Errorf("%s: %d", c.name, w.Code)
		}
		if !c.allowed {
			problem(t, w, errs.Forbidden)
		}
	}
}

// The set says of every address what its networks say one by one.
func TestAddressesAgreeWithTheirNetworks(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 6))
	for range 200 {
		var all []netip.Prefix
		for range random.IntN(12) {
			all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(2)), byte(random.IntN(256))}), 20+random.IntN(13)).Masked())
			all = append(all, netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 15: byte(random.IntN(256))}), 118+random.IntN(11)).Masked())
		}
		set := NewAddresses(all)
		for range 200 {
			a := netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(3)), byte(random.IntN(256))})
			if random.IntN(2) == 0 {
				a = netip.AddrFrom16([16]byte{0: 0x20, 14: byte(random.IntN(2)), 15: byte(random.IntN(256))})
			}
			want := false
			for _, p := range all {
				want = want || p.Contains(a)
			}
			if set.Contains(a) != want {
				t.Fatalf("seed %d: %v in %v is %v", seed, a, all, set.Contains(a))
			}
		}
	}
}
