package mysql

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"penstock/engine/secure"
)

// Example is a URL that Parse accepts.
const Example = "mysql://penstock:secret@127.0.0.1:3306/penstock"

// Config says which server, which database and who asks. It is made by [Parse] and prints without its password.
type Config struct {
	user, password string
	addr           string // host:port
	database       string // "" for none
	tls            string // tlsOff, tlsOn or tlsUnverified
	files          secure.Files
}

// Values of the URL parameter tls.
const (
	tlsOff        = "false"
	tlsOn         = "true"
	tlsUnverified = "skip-verify"
)

// longestName is what servers allow for the name of a database.
const longestName = 64

var databaseName = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// Parse reads mysql://user:password@host:port/database?tls=true&ca=/path/to/ca.pem&cert=/path/to/client.pem&key=/path/to/client.key. The port is 3306 unless given; the database
// may be left out where [Config.With] names it. tls is true, false (default) or skip-verify; ca names a PEM file of the
// certificates to trust instead of the system's, cert and key what is shown to a server that asks for it. The error names what is wrong and never holds the password.
func Parse(raw string) (Config, error) {
	c, err := parse(strings.TrimSpace(raw))
	if err != nil {
		return Config{}, fmt.Errorf("database URL %s: %w; a valid one is %s", masked(raw), err, Example)
	}
	return c, nil
}

func parse(raw string) (Config, error) {
	scheme, _, found := strings.Cut(raw, "://")
	if !found || scheme != "mysql" {
		return Config{}, errors.New("it must begin with mysql://")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own words may quote a piece of the password.
		return Config{}, errors.New("it cannot be taken apart: the port is a number, and special characters of user and password " +
			"are written as %XX (@ as %40, / as %2F, # as %23, % as %25)")
	}
	c := Config{database: strings.TrimPrefix(u.Path, "/"), tls: tlsOff}
	if c.addr, err = address(u); err != nil {
		return Config{}, err
	}
	if u.User == nil || u.User.Username() == "" {
		return Config{}, errors.New("it names no user before the host")
	}
	c.user = u.User.Username()
	c.password, _ = u.User.Password()
	if c.database != "" {
		if err := checkName(c.database); err != nil {
			return Config{}, err
		}
	}
	if u.Fragment != "" {
		return Config{}, errors.New("it has a part after #, which means nothing here (write a # in a password as %23)")
	}
	return c, c.parameters(u.Query())
}

func address(u *url.URL) (string, error) {
	if u.Hostname() == "" {
		return "", errors.New("it names no host")
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

func (c *Config) parameters(q url.Values) error {
	for key, values := range q {
		v := values[len(values)-1]
		switch key {
		case "tls":
			if !slices.Contains([]string{tlsOff, tlsOn, tlsUnverified}, v) {
				return fmt.Errorf("tls=%s is none of true, false, skip-verify", v)
			}
			c.tls = v
		case "ca":
			c.files.CA = v
		case "cert":
			c.files.Cert = v
		case "key":
			c.files.Key = v
		default:
			return fmt.Errorf("parameter %q is unknown; tls, ca, cert and key are known", key)
		}
	}
	if c.files.CA != "" && c.tls != tlsOn {
		return errors.New("ca is given without tls=true")
	}
	return c.files.Check(c.tls != tlsOff)
}

// checkName refuses what would need quoting rules, or what servers refuse.
func checkName(database string) error {
	if len(database) > longestName || !databaseName.MatchString(database) {
		shown := strconv.Quote(database)
		if strings.ContainsAny(database, ":@") { // another URL, perhaps with its password
			shown = "after the host"
		}
		return fmt.Errorf("database name %s must be 1 to %d of the characters A-Z a-z 0-9 _ $ -", shown, longestName)
	}
	return nil
}

// masked hides what may be a password in a URL that may not even be one.
func masked(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "", raw
	} else {
		scheme += "://"
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return strconv.Quote(scheme + rest)
	}
	user, _, secret := strings.Cut(rest[:at], ":")
	if secret {
		user += ":…"
	}
	return strconv.Quote(scheme + user + rest[at:])
}

// With returns the same server and user with another database.
func (c Config) With(database string) Config {
	c.database = database
	return c
}

// Database returns the name of the database, or "".
func (c Config) Database() string { return c.database }

// Addr returns host:port.
func (c Config) Addr() string { return c.addr }

// String returns the URL without the password.
func (c Config) String() string {
	user := url.User(c.user).String()
	if c.password != "" {
		user += ":…"
	}
	return "mysql://" + user + "@" + c.addr + "/" + c.database
}

// GoString hides the password from %#v too.
func (c Config) GoString() string { return c.String() }

// quote makes an identifier out of a name.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
