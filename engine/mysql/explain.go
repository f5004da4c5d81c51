package mysql

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// explain adds what to do to what servers say when they are first asked.
func explain(c Config, err error) error {
	switch number(err) {
	case errAccessDenied:
		mend := "mend user and password in the URL"
		if c.tls != tlsOff && c.files.Cert == "" {
			mend += ", or name the certificate that this user must show by cert=FILE&key=FILE"
		}
		return wrong("user %s with the given password is not let in: %s (%w)", c.user, mend, err)
	case errUnknownDatabase:
		return wrong("there is no database %s: create it with CREATE DATABASE %s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin (%w)",
			c.database, quote(c.database), err)
	case errDatabaseDenied, errTableDenied, errColumnDenied, errSpecificDenied, errSuperDenied:
		return wrong("user %s may not do this: GRANT %s ON %s.* TO that user (%w)", c.user, strings.Join(needed, ", "), quote(c.database), err)
	case errHostDenied:
		return wrong("the server lets nobody in from this machine: create the user for this host or for '%%' (%w)", err)
	}
	if untrusted(err) {
		return wrong("the server's certificate or its TLS is not as the URL asks (tls=%s): "+
			"name its CA by ca=/path/to/ca.pem, and the host as its certificate does (%w)", c.tls, err)
	}
	if _, named := errors.AsType[*wrongError](err); named || errors.Is(err, errReadsOnly) {
		return err
	}
	if Unavailable(err) {
		return fmt.Errorf("the server does not answer: start it, or mend host and port in the URL (%w)", err)
	}
	if Lost(err) {
		return &connectError{c.addr, fmt.Errorf("the session ended while the server was checked: %w", err)}
	}
	return err
}

// untrusted reports that the two sides do not agree on encryption.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return errors.Is(err, mysql.ErrNoTLS)
}
