package mysql_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/engines"
)

// certificate writes a certificate for 127.0.0.1 that signs itself, and its key.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A session is encrypted for a server whose certificate the URL's CA vouches for, and is not begun with any other.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certificate(t, dir, "server")
	stranger, _ := certificate(t, dir, "stranger")
	url := bench{engines.MariaDB(t, "--ssl-cert="+cert, "--ssl-key="+key)}.server.Database(t)
	for _, parameters := range []string{"?tls=true&ca=" + cert, "?tls=skip-verify"} {
		db := open(t, parse(t, url+parameters), mysql.Options{})
		var name, cipher string
		if err := db.QueryRowContext(t.Context(), "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil || cipher == "" {
			t.Errorf("%s: cipher %q, %v", parameters, cipher, err)
		}
	}
	for parameters, want := range map[string]string{
		"?tls=true&ca=" + stranger: "name its CA by ca=",
		"?tls=true":                "name its CA by ca=",
		"?tls=true&ca=/nowhere":    "parameter ca=/nowhere cannot be read",
		"?tls=true&ca=" + key:      "holds no certificate",
	} {
		_, err := mysql.Open(t.Context(), parse(t, url+parameters), mysql.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || mysql.Unavailable(err) {
			t.Errorf("%s: %v; wanted it to say %q", parameters, err, want)
		}
	}
}

// A user who must show a certificate is let in with the one that the URL names, and without it is told.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	a := engines.NewAuthority(t)
	cert, key := a.Issue(t, "server", "127.0.0.1")
	mine, mineKey := a.Issue(t, "client", "")
	server := engines.MariaDB(t, "--ssl-ca="+a.CAFile, "--ssl-cert="+cert, "--ssl-key="+key)
	root := server.Database(t)
	admin := open(t, parse(t, root), mysql.Options{})
	for _, statement := range []string{"CREATE USER shop@'%' IDENTIFIED BY 'pw' REQUIRE X509", "GRANT ALL ON *.* TO shop@'%'"} {
		if _, err := admin.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	url := strings.Replace(root, "root@", "shop:pw@", 1) + "?tls=true&ca=" + a.CAFile
	db := open(t, parse(t, url+"&cert="+mine+"&key="+mineKey), mysql.Options{})
	if err := db.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := mysql.Open(t.Context(), parse(t, url), mysql.Options{}); err == nil || !strings.Contains(err.Error(), "cert=FILE&key=FILE") {
		t.Errorf("without a certificate: %v", err)
	}
}
