package launch

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"path/filepath"
)

// Authority signs certificates for servers on loopback and for their clients.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority with its certificate in CAFile(dir).
func NewAuthority(dir string) (*Authority, error) {
	cert, key, der, err := certificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: "penstock test authority " + filepath.Base(dir)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	return &Authority{dir, cert, key}, os.WriteFile(CAFile(dir), block("CERTIFICATE", der), 0o600)
}

// Issue writes a certificate and its key to PEM files under the name. host is the IP address of a server; "" is for a client.
func (a *Authority) Issue(name, host string) (certFile, keyFile string, err error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if host != "" {
		template.IPAddresses, template.ExtKeyUsage = []net.IP{net.ParseIP(host)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	_, key, der, err := certificate(template, a.cert, a.key)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	return certFile, keyFile, errors.Join(err, os.WriteFile(certFile, block("CERTIFICATE", der), 0o600), os.WriteFile(keyFile, block("PRIVATE KEY", pkcs8), 0o600))
}
