// Package egress decides where requests of ours may go, when somebody else may name the address.
//
// A [Guard] looks at a URL when it is told, and at the address of each connection when it is dialled, after the name was resolved: a
// name that leads outside today and inside tomorrow is refused tomorrow, however the address is spelt. [Client] makes clients
// that go through a guard, follow no redirect and know no proxy; [Fixed] makes those for addresses of the operator's own
// configuration, which may well be inside, but follow no redirect either. Everything is safe for concurrent use.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Guard decides where a request may go. The zero Guard lets only https through, to ports 443 and 8443 of public addresses. The
// address is looked at when it is dialled, after the name was resolved, for each connection: what a name said before, or says to
// somebody else, does not count.
type Guard struct {
	// AllowInsecure lets http through, to ports 80 and 8080 too.
	AllowInsecure bool
	// AllowPrivate lets addresses and ports of every kind through. It is for tests and closed networks.
	AllowPrivate bool
	// Resolver is for tests; nil means the machine's.
	Resolver *net.Resolver
}

// ErrRefused is wrapped by every no of a [Guard].
var ErrRefused = errors.New("address refused")

const maxURL = 2048 // bytes

// Check looks at a URL without resolving its name.
func (g Guard) Check(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is not a URL with a host, such as https://example.com/hooks")
	case len(text) > maxURL:
		return fmt.Errorf("has %d characters; %d are allowed", len(text), maxURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !g.AllowInsecure):
		return fmt.Errorf("%w: the scheme is not https", ErrRefused)
	case u.User != nil:
		return fmt.Errorf("%w: a URL with a password in it is not taken; the signature is what proves the sender", ErrRefused)
	case u.Fragment != "":
		return errors.New("has a fragment, which is never sent")
	}
	if err := g.port(portOf(u)); err != nil {
		return err
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		return g.addr(a)
	}
	return g.name(host)
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"https": "443", "http": "80"}[u.Scheme]
}

func (g Guard) port(port string) error {
	allowed := []string{"443", "8443"}
	if g.AllowInsecure {
		allowed = append(allowed, "80", "8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !g.AllowPrivate && !slices.Contains(allowed, port) {
		return fmt.Errorf("%w: port %s is not one of %s", ErrRefused, port, strings.Join(allowed, ", "))
	}
	return nil
}

// name refuses names that some resolvers take for numbers (2130706433, 0x7f.1, 127.1), and those of the machine itself.
func (g Guard) name(host string) error {
	if g.AllowPrivate {
		return nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, isNumber := strconv.ParseUint(last, 0, 64)
	switch {
	case last == "" || isNumber == nil || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"):
		return fmt.Errorf("%w: %q is a number and no name", ErrRefused, host)
	case last == host || slices.Contains([]string{"localhost", "local", "internal", "localdomain"}, last):
		return fmt.Errorf("%w: %q is a name of this machine or network", ErrRefused, host)
	}
	return nil
}

// closedNets are addresses that are not somebody else's public server.
func closedNets() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"168.63.129.16/32",                                     // metadata of a cloud, in public space
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", // of 2000::/3, the part that carries IPv4 or nothing
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// addr says whether an address may be dialled. Of IPv6 only global unicast space is open, so that no spelling of an IPv4
// address (mapped, compatible, NAT64, 6to4, Teredo) leads inside.
func (g Guard) addr(a netip.Addr) error {
	if g.AllowPrivate {
		return nil
	}
	a = a.Unmap().WithZone("")
	ok := a.Is4() || netip.MustParsePrefix("2000::/3").Contains(a)
	if !ok || slices.ContainsFunc(closedNets(), func(p netip.Prefix) bool { return p.Contains(a) }) {
		return fmt.Errorf("%w: %s is not a public address", ErrRefused, a)
	}
	return nil
}

// control is called with the address that the socket is about to connect to.
func (g Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := g.port(port); err != nil {
		return err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return g.addr(a)
}

// Dialer makes connections that the guard has looked at. They go through no proxy.
func (g Guard) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: g.Resolver, ControlContext: g.control}
}
