package kafka

import (
	"net"
	"testing"
)

// otherAuthority signed nothing; its key was thrown away.
const otherAuthority = `-----BEGIN CERTIFICATE-----
MIIBNjCB6aADAgECAhRJF5bQAjz7Ybn2CKZnR8Yp/5Fw6jAFBgMrZXAwEDEOMAwG
A1UEAwwFb3RoZXIwIBcNMjYxMTIxMTUyMzAxWhgPMjEyNjEwMjgxNTIzMDFaMBAx
DjAMBgNVBAMMBW90aGVyMCowBQYDK2VwAyEA19Mhj1O30rdx6qKcml0c6Rl9tPPd
aG58JKL3m4OYjiujUzBRMB0GA1UdDgQWBBTyelVh70iZBfoXOKXAomy6PMHi5zAf
BgNVHSMEGDAWgBTyelVh70iZBfoXOKXAomy6PMHi5zAPBgNVHRMBAf8EBTADAQH/
MAUGAytlcANBAHKDy/FGWTsyQrAM0z3dIZCHXIdepGGgz5KH1Y5mmbRUXgb5AqPD
n5YXBJMdIXWhnygoKOXOH2o3Q74ejbbj9Ac=
-----END CERTIFICATE-----
`

// listen accepts connections and says nothing.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
