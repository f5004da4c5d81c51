package limit

import "net/netip"

// AddrKey returns the key under which calls from an address are counted: the address itself for IPv4 (also when written as
// IPv6), the /64 network for IPv6, since one subscriber has a whole one.
func AddrKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
