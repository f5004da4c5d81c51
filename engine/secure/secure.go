// Package secure makes the settings of TLS that the URLs of engines ask for, and says by name what keeps two sides from agreeing.
package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Files are PEM files, by the parameters of the URL that name them; "" names none.
type Files struct {
	// CA holds the authorities to trust instead of the system's.
	CA string
	// Cert and Key are what this side shows to a server that asks for it; one needs the other.
	Cert, Key string
}

// Check finds what is wrong with the names, without reading a file. on is whether TLS is asked for.
func (f Files) Check(on bool) error {
	switch {
	case f.CA != "" && !on:
		return errors.New("ca is set, but tls is not true")
	case f.Cert != "" && !on:
		return errors.New("cert is set, but tls is not true")
	case f.Cert != "" && f.Key == "":
		return errors.New("cert is set, but no key that belongs to it")
	case f.Key != "" && f.Cert == "":
		return errors.New("key is set, but no cert that it belongs to")
	}
	return nil
}

// Config reads the files. Errors begin with the parameter. The caller sets the name of the server.
func (f Files) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("ca=%s cannot be read: %w; name a PEM file with the authority of the server's certificate", f.CA, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca=%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("cert=%s, key=%s: %w; name a certificate and the key that belongs to it, both as PEM files", f.Cert, f.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Explain says what a failed connection means where one side does not trust the other, and what to do; false for anything else.
func (f Files) Explain(err error) (string, bool) {
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // how crypto/tls tells an alert
		if f.Cert == "" {
			return fmt.Sprintf("the server wants a client's certificate (%v); name one by cert=FILE&key=FILE", alert.Err), true
		}
		return fmt.Sprintf("the server does not take the certificate in cert=%s (%v); name one that its authority signed for clients", f.Cert, alert.Err), true
	}
	cert, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return "", false
	}
	if _, ok = errors.AsType[x509.UnknownAuthorityError](err); ok {
		ca := f.CA
		if ca == "" {
			ca = "(the system's)"
		}
		return fmt.Sprintf("the server's certificate is not signed by the authority in ca=%s; name the PEM file of the right one", ca), true
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is for another name (%v); connect by a name that it has", name), true
	}
	return fmt.Sprintf("the server's certificate is not trusted (%v)", cert.Err), true
}

// asks is how often a server is asked that hangs up: its reset may overtake the alert that says why.
const asks = 10

// Ask makes a connection of its own and says nothing on it, so that what the server has against this side is heard: after the first
// words of a client the refusal may be lost. It returns nil when the server has nothing against it, or nothing could be learned.
func Ask(ctx context.Context, addr string, c *tls.Config, within time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for range asks {
		if err = ask(ctx, addr, c); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.EOF) {
			break
		}
	}
	return err
}

func ask(ctx context.Context, addr string, c *tls.Config) error {
	conn, err := (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = conn.Read(make([]byte, 1))
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		return nil
	}
	return err
}
