package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// URLs that lead inside are refused before anything is asked of a name server; those of public servers pass.
func TestGuardChecksURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "example.com", "http://example.com", "ftp://example.com", "https://", "https://user:pw@example.com", "https://example.com/#x", "https:example.com",
		"https://127.0.0.1", "https://10.1.2.3", "https://169.254.169.254/latest/meta-data", "https://[::1]", "https://[::ffff:127.0.0.1]", "https://[::ffff:a9fe:a9fe]",
		"https://[fe80::1%25eth0]", "https://[fd00:ec2::254]", "https://[64:ff9b::7f00:1]", "https://[2002:7f00:1::]", "https://[::127.0.0.1]",
		"https://2130706433", "https://0x7f000001", "https://0177.0.0.1", "https://127.1", "https://0x7f.1", "https://017700000001", "https://1.2.3.0x4", "https://999.999.999.999",
		"https://localhost", "https://LOCALHOST.", "https://a.localhost", "https://db", "https://metadata.google.internal", "https://printer.local",
		"https://example.com:22", "https://example.com:6379", "https://example.com:0", "https://example.com:99999", "https://example.com:80", "https://100.100.100.200",
		"https://168.63.129.16", "https://0.0.0.0", "https://[::]", "https://224.0.0.1", "https://255.255.255.255", "https://192.0.2.1", "https://" + strings.Repeat("a", maxURL) + ".com",
	} {
		if err := (Guard{}).Check(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	for _, good := range []string{"https://example.com", "https://example.com:8443/a?b=c", "https://93.184.216.34/x", "https://[2606:4700::1111]/", "https://xn--bcher-kva.example/"} {
		if err := (Guard{}).Check(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	if err := (Guard{AllowInsecure: true}).Check("http://example.com:8080"); err != nil {
		t.Error(err)
	}
}

// No address that is not public may be dialled, in whatever form it is written.
func TestGuardChecksAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "192.0.0.1",
		"192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1",
	} {
		if err := (Guard{}).addr(netip.MustParseAddr(bad)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s passes", bad)
		}
	}
	for _, good := range []string{"1.1.1.1", "93.184.216.34", "172.32.0.1", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::8a"} {
		if err := (Guard{}).addr(netip.MustParseAddr(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// nameServer answers A with the given addresses in turn, the last for ever, and everything else with nothing.
func nameServer(t *testing.T, addrs ...string) (*net.Resolver, *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12
			for end < n && buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			question := buf[12 : end+5]
			out := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if binary.BigEndian.Uint16(question[len(question)-4:]) == 1 {
				a := netip.MustParseAddr(addrs[min(int(asked.Add(1)), len(addrs))-1]).As4()
				out[7] = 1
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				out = append(out, a[:]...)
			}
			_, _ = conn.WriteTo(out, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, &asked
}

// A name that pointed to a public address when the endpoint was made, and points inside now, is refused at the dial: no
// connection is made, whatever the name says.
func TestRebindingIsRefusedAtTheDial(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	resolver, asked := nameServer(t, "93.184.216.34", "127.0.0.1")
	if all, err := resolver.LookupHost(t.Context(), "evil.example"); err != nil || all[0] != "93.184.216.34" {
		t.Fatalf("first answer: %v %v", all, err)
	}
	g := Guard{Resolver: resolver}
	for _, target := range []string{"evil.example:443", "evil.example:" + port, "[::ffff:127.0.0.1]:443", "127.0.0.1:443", "[::1]:443"} {
		c, err := g.Dialer().DialContext(t.Context(), "tcp", target)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if asked.Load() < 3 || reached.Load() != 0 {
		t.Errorf("%d questions, %d connections", asked.Load(), reached.Load())
	}
	// The same through a client.
	_, err := Client(g, Options{Timeout: 5 * time.Second}).Get("https://evil.example/hook")
	if !errors.Is(err, ErrRefused) {
		t.Errorf("through the client: %v", err)
	}
}

// No client follows a redirect, wherever it leads and whatever its status: what the first server says is the answer.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			code = http.StatusTeapot
		}
		w.Header().Set("Location", inside.URL)
		w.WriteHeader(code)
	}))
	t.Cleanup(outside.Close)
	for name, c := range map[string]*http.Client{"guarded": Client(Guard{AllowInsecure: true, AllowPrivate: true}, Options{}), "fixed": Fixed(nil, time.Second)} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			resp, err := c.Post(outside.URL+"/"+strconv.Itoa(code), "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			resp.Body.Close()
			if resp.StatusCode != code {
				t.Errorf("%s: %d after a redirect of %d", name, resp.StatusCode, code)
			}
		}
		c.CloseIdleConnections()
	}
	if reached.Load() != 0 {
		t.Errorf("the inside was reached %d times", reached.Load())
	}
}
