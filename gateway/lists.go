package gateway

import (
	"net/netip"
	"slices"

	"penstock/errs"
)

// checkLists refuses addresses that are denied, and those that are not allowed where only some are. Denial comes first.
func (g *Gateway) checkLists(c *Call) error {
	r := &c.plan.rule
	if r.Deny.Contains(c.Client) {
		return errs.New(errs.Forbidden, "calls from this address are refused")
	}
	if r.Allow != nil && !r.Allow.Contains(c.Client) {
		return errs.New(errs.Forbidden, "calls from this address are not allowed here")
	}
	return nil
}

func (g *Gateway) sayLists(c *Call) (string, error) {
	if err := g.checkLists(c); err != nil {
		return "", err
	}
	if c.plan.rule.Allow != nil {
		return "on the list of the allowed", nil
	}
	return "on no list of the denied", nil
}

// NewAddresses returns the set of all addresses in the networks. Looking into it costs the logarithm of their number.
func NewAddresses(networks []netip.Prefix) *Addresses {
	a := &Addresses{}
	for _, p := range networks {
		p = plain(p)
		a.spans = append(a.spans, span{p.Addr(), lastOf(p)})
	}
	slices.SortFunc(a.spans, func(x, y span) int { return x.first.Compare(y.first) })
	merged := a.spans[:0]
	for _, s := range a.spans {
		if n := len(merged); n > 0 && s.first.Compare(merged[n-1].last) <= 0 {
			if merged[n-1].last.Less(s.last) {
				merged[n-1].last = s.last
			}
			continue
		}
		merged = append(merged, s)
	}
	a.spans = merged
	return a
}

// plain writes an IPv4 network that is dressed as IPv6 as what it is, as client addresses are.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// Contains reports whether the set has a. The nil set is empty.
func (a *Addresses) Contains(addr netip.Addr) bool {
	if a == nil || len(a.spans) == 0 || !addr.IsValid() {
		return false
	}
	i, exact := slices.BinarySearchFunc(a.spans, addr, func(s span, x netip.Addr) int { return s.first.Compare(x) })
	return exact || i > 0 && a.spans[i-1].last.Compare(addr) >= 0
}

// Networks writes the set as spans of addresses, such as 10.0.0.0-10.255.255.255; never nil.
func (a *Addresses) Networks() []string {
	all := []string{}
	if a == nil {
		return all
	}
	for _, s := range a.spans {
		if s.first == s.last {
			all = append(all, s.first.String())
			continue
		}
		all = append(all, s.first.String()+"-"+s.last.String())
	}
	return all
}

func hasLists(p *plan) bool { return p.rule.Allow != nil || p.rule.Deny != nil }
