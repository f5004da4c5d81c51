package gateway

import (
	"net/netip"
	"strings"

	"penstock/limit"
)

// locate finds the client's address: the peer's own, or, if the peer is a trusted proxy, the right-most address of
// X-Forwarded-For that is not one. What stands left of that could have been written by anybody.
func (g *Gateway) locate(c *Call) error {
	c.Client = peer(c.R.RemoteAddr)
	if len(g.o.TrustedProxies) > 0 && g.trusted(c.Client) {
		c.Client = g.forwarded(c.Client, c.R.Header["X-Forwarded-For"])
	}
	return nil
}

func (g *Gateway) sayAddress(c *Call) (string, error) {
	if err := g.locate(c); err != nil {
		return "", err
	}
	if key := limit.AddrKey(c.Client); key != c.Client {
		return c.Client.String() + ", counted as " + key.String() + "/64", nil
	}
	return c.Client.String(), nil
}

func peer(remote string) netip.Addr {
	p, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

func (g *Gateway) forwarded(last netip.Addr, lines []string) netip.Addr {
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			comma := strings.LastIndexByte(rest, ',')
			hop, ok := parseHop(rest[comma+1:])
			if !ok {
				return last
			}
			if last = hop; !g.trusted(hop) {
				return hop
			}
			rest = rest[:max(comma, 0)]
		}
	}
	return last
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func (g *Gateway) trusted(a netip.Addr) bool {
	for _, p := range g.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
