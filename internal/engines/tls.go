package engines

import (
	"testing"

	"penstock/internal/engines/launch"
)

// Authority signs certificates for the servers and clients of one test.
type Authority struct {
	// CAFile is the PEM file to trust.
	CAFile string
	made   *launch.Authority
}

// NewAuthority makes an authority that nobody else trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	dir := t.TempDir()
	made, err := launch.NewAuthority(dir)
	check(t, err)
	return &Authority{launch.CAFile(dir), made}
}

// Issue returns PEM files of a certificate and its key. host is the IP address of a server; "" is for a client.
func (a *Authority) Issue(t testing.TB, name, host string) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := a.made.Issue(name, host)
	check(t, err)
	return certFile, keyFile
}
