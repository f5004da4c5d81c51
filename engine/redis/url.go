package redis

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"penstock/engine/secure"
)

// Example is a valid URL; every error of Parse ends with it.
const Example = "redis://user:password@127.0.0.1:6379/0?tls=false"

// Schemes are what URLs begin with.
func Schemes() []string { return []string{"redis://", "rediss://"} }

// Config is a parsed URL.
type Config struct {
	// Addrs are host:port: the one server, or seeds of a cluster.
	Addrs []string
	// Replicas are standbys of the one server. Whichever of all says that it is the primary is used; nothing is read from
	// the others.
	Replicas []string
	// DB is the number of the database; a cluster has only 0.
	DB      int
	Cluster bool
	// TLS is "" (off), "true" or "skip-verify".
	TLS string
	// Files are what TLS trusts and shows.
	Files secure.Files

	user, password string
}

// Parse reads
//
//	redis://[user:password@]host:port[,host2:port2…][/db][?tls=true|false|skip-verify&ca=FILE&cert=FILE&key=FILE&cluster=true|false&replica=host:port,…]
//
// rediss:// is redis:// with tls=true. Several hosts are seeds of a cluster and want cluster=true; standbys of a single server are named by replica. A missing port
// is 6379. Special characters of user and password are percent-encoded. Errors name the part, never the password.
func Parse(raw string) (Config, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme = ""
	}
	if !slices.Contains(Schemes(), scheme+"://") {
		return Config{}, invalid("the scheme is %q, want redis or rediss", scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	var c Config
	if scheme == "rediss" {
		c.TLS = "true"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := c.credentials(rest[:at]); err != nil {
			return Config{}, err
		}
		rest = rest[at+1:]
	}
	hosts, db, _ := strings.Cut(rest, "/")
	var err error
	if c.Addrs, err = addresses("host", hosts); err != nil {
		return Config{}, err
	}
	if db != "" {
		if c.DB, err = strconv.Atoi(db); err != nil || c.DB < 0 {
			return Config{}, invalid("the database is %q, want a number from 0", db)
		}
	}
	if err = c.parameters(query); err != nil {
		return Config{}, err
	}
	return c, c.consistent()
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("redis URL: "+format+"; a valid one is "+Example, args...)
}

func (c *Config) credentials(s string) error {
	user, password, ok := strings.Cut(s, ":")
	if !ok || password == "" {
		return invalid("the part before @ has no password, want user:password@ or :password@")
	}
	var err error
	if c.user, err = url.PathUnescape(user); err != nil {
		return invalid("the user is not percent-encoded properly")
	}
	if c.password, err = url.PathUnescape(password); err != nil {
		return invalid("the password is not percent-encoded properly")
	}
	return nil
}

func addresses(part, list string) ([]string, error) {
	var all []string
	for _, a := range strings.Split(list, ",") {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			host, port = strings.Trim(a, "[]"), "6379"
		}
		if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 {
			return nil, invalid("the %s is %q, want host:port", part, a)
		}
		if strings.ContainsAny(host, "@ ") || (strings.Contains(host, ":") && net.ParseIP(host) == nil) {
			return nil, invalid("the %s is %q, want host:port", part, a)
		}
		all = append(all, net.JoinHostPort(host, port))
	}
	return all, nil
}

func (c *Config) parameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid("the part after ? is not a query")
	}
	for name, all := range values {
		v := all[len(all)-1]
		switch name {
		case "tls":
			if v != "true" && v != "false" && v != "skip-verify" {
				return invalid("tls is %q, want true, false or skip-verify", v)
			}
			if v == "false" && c.TLS != "" {
				return invalid("tls is false, but rediss:// means TLS")
			}
			c.TLS = strings.TrimPrefix(v, "false")
		case "ca":
			c.Files.CA = v
		case "cert":
			c.Files.Cert = v
		case "key":
			c.Files.Key = v
		case "cluster":
			if c.Cluster, err = strconv.ParseBool(v); err != nil {
				return invalid("cluster is %q, want true or false", v)
			}
		case "replica":
			if c.Replicas, err = addresses("replica", v); err != nil {
				return err
			}
		case "sentinel", "master", "masterName", "master_name", "master_set":
			return invalid("%s asks for Sentinel, which is not spoken; name the servers that it watches, as redis://primary:6379?replica=standby:6379: "+
				"whichever is the primary is used", name)
		default:
			return invalid("there is no parameter %q, only tls, ca, cert, key, cluster and replica", name)
		}
	}
	return nil
}

func (c *Config) consistent() error {
	switch {
	case c.Cluster && c.DB != 0:
		return invalid("the database is %d, but a cluster has only 0", c.DB)
	case c.Cluster && c.Replicas != nil:
		return invalid("replica is set, but a cluster tells its replicas itself")
	case !c.Cluster && len(c.Addrs) > 1:
		return invalid("several hosts are seeds of a cluster and want cluster=true; standbys of one server are named by replica=host:port")
	}
	if err := c.Files.Check(c.TLS != ""); err != nil {
		return invalid("%w", err)
	}
	return nil
}

// String returns the URL with the password masked.
func (c Config) String() string {
	var b strings.Builder
	b.WriteString("redis://")
	if c.password != "" {
		b.WriteString(url.PathEscape(c.user) + ":***@")
	}
	b.WriteString(strings.Join(c.Addrs, ","))
	if c.DB != 0 {
		b.WriteString("/" + strconv.Itoa(c.DB))
	}
	sep := "?"
	add := func(name, value string) {
		if value != "" {
			b.WriteString(sep + name + "=" + value)
			sep = "&"
		}
	}
	add("tls", c.TLS)
	add("ca", c.Files.CA)
	add("cert", c.Files.Cert)
	add("key", c.Files.Key)
	if c.Cluster {
		add("cluster", "true")
	}
	add("replica", strings.Join(c.Replicas, ","))
	return b.String()
}

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return c.String() }

func (c Config) tls() (*tls.Config, error) {
	if c.TLS == "" {
		return nil, nil
	}
	t, err := c.Files.Config()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errServer, err)
	}
	t.ServerName, _, _ = net.SplitHostPort(c.Addrs[0])
	t.InsecureSkipVerify = c.TLS == "skip-verify"
	return t, nil
}
