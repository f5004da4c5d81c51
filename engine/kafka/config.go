package kafka

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

// Example is a valid URL with every parameter.
const Example = "kafka://user:password@kafka1:9092,kafka2:9092,kafka3:9092?tls=true&ca=/etc/penstock/kafka-ca.pem&topic-prefix=shop.&replicas=3"

// Config says where a cluster is and how to speak to it. Make it with [Parse].
type Config struct {
	brokers  []string
	user     string
	password string
	tls      bool
	files    secure.Files
	prefix   string
	replicas int
}

// Parse reads kafka://[user:password@]host[:port][,host[:port]…] with the parameters
//
//	tls=true          TLS; without ca the system's authorities count
//	ca=/path          PEM file of the authority that signed the brokers' certificates; implies tls=true
//	cert=/path        PEM file of a certificate for brokers that want one of a client, with key=/path
//	topic-prefix=p    put before every topic and group, so that several shops share a cluster
//	replicas=3        copies of a topic that is created; default: 3, or the number of brokers if there are fewer
//
// A user means SASL/PLAIN. Errors say what is wrong, never the password, and name a valid URL.
func Parse(raw string) (Config, error) {
	c, err := parse(strings.TrimSpace(raw))
	if err != nil {
		return Config{}, fmt.Errorf("kafka URL %s: %w; a valid one is %s", masked(raw), err, Example)
	}
	return c, nil
}

func parse(raw string) (Config, error) {
	rest, found := strings.CutPrefix(raw, "kafka://")
	if !found {
		return Config{}, errors.New("it must begin with kafka://")
	}
	if strings.Contains(rest, "#") {
		return Config{}, errors.New("it has a part after #, which means nothing here (write a # in a password as %23)")
	}
	rest, query, _ := strings.Cut(rest, "?")
	var c Config
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := c.credentials(rest[:at]); err != nil {
			return Config{}, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if path != "" {
		return Config{}, fmt.Errorf("/%s means nothing here (name a prefix of topics as ?topic-prefix=%s.)", path, path)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := address(host)
		if err != nil {
			return Config{}, err
		}
		c.brokers = append(c.brokers, addr)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Config{}, errors.New("its parameters after ? are not of the form key=value&key=value")
	}
	return c, c.parameters(values)
}

func (c *Config) credentials(s string) error {
	user, password, found := strings.Cut(s, ":")
	var err, err2 error
	c.user, err = url.PathUnescape(user)
	c.password, err2 = url.PathUnescape(password)
	switch {
	case err != nil || err2 != nil:
		return errors.New("the user or password has a % that begins no %XX (write special characters as %XX, a % as %25)")
	case c.user == "":
		return errors.New("it names no user before the @")
	case !found || c.password == "":
		return fmt.Errorf("user %s has no password", c.user)
	}
	return nil
}

func address(host string) (string, error) {
	if host == "" {
		return "", errors.New("it names no broker, or has a comma too many")
	}
	u := url.URL{Host: host}
	if u.Hostname() == "" || strings.ContainsAny(u.Hostname(), " \t") {
		return "", fmt.Errorf("broker %q is not of the form host:port", host)
	}
	_, port, found := strings.Cut(host[strings.LastIndex(host, "]")+1:], ":")
	if !found {
		port = "9092"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("port %q of broker %q is not a number from 1 to 65535", port, host)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// legal is what a topic or group may be named of.
var legal = regexp.MustCompile(`^[a-zA-Z0-9._-]{0,150}$`)

func (c *Config) parameters(q url.Values) error {
	keys := make([]string, 0, len(q))
	for key := range q {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		v := q[key][len(q[key])-1]
		switch key {
		case "tls":
			on, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("tls=%s is neither true nor false", v)
			}
			c.tls = on
		case "ca":
			if v == "" {
				return errors.New("ca= names no file")
			}
			c.files.CA = v
		case "cert":
			c.files.Cert = v
		case "key":
			c.files.Key = v
		case "topic-prefix":
			if !legal.MatchString(v) {
				return fmt.Errorf("topic-prefix=%s has more than letters, digits, dot, dash and underscore, or more than 150 of them", v)
			}
			c.prefix = v
		case "replicas":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 100 {
				return fmt.Errorf("replicas=%s is not a number from 1 to 100", v)
			}
			c.replicas = n
		default:
			return fmt.Errorf("parameter %s is unknown; there are tls, ca, cert, key, topic-prefix, replicas", key)
		}
	}
	if c.files.CA != "" && !c.tls {
		if q.Has("tls") {
			return errors.New("ca= is of no use with tls=false")
		}
		c.tls = true
	}
	return c.files.Check(c.tls)
}

// masked hides the password of a URL that may be malformed.
func masked(raw string) string {
	at := strings.LastIndex(raw, "@")
	if at < 0 {
		return raw
	}
	scheme, _, found := strings.Cut(raw, "://")
	if !found || len(scheme) > at {
		return "***" + raw[at:]
	}
	user, _, _ := strings.Cut(raw[len(scheme)+3:at], ":")
	return scheme + "://" + user + ":***" + raw[at:]
}

// String returns the URL with the password masked.
func (c Config) String() string {
	s := "kafka://"
	if c.user != "" {
		s += url.PathEscape(c.user) + ":***@"
	}
	s += strings.Join(c.brokers, ",")
	q := url.Values{}
	if c.tls {
		q.Set("tls", "true")
	}
	for name, file := range map[string]string{"ca": c.files.CA, "cert": c.files.Cert, "key": c.files.Key} {
		if file != "" {
			q.Set(name, file)
		}
	}
	if c.prefix != "" {
		q.Set("topic-prefix", c.prefix)
	}
	if c.replicas != 0 {
		q.Set("replicas", strconv.Itoa(c.replicas))
	}
	if len(q) > 0 {
		s += "?" + q.Encode()
	}
	return s
}

// Brokers returns the addresses to begin with.
func (c Config) Brokers() []string { return slices.Clone(c.brokers) }

// Prefix returns what stands before every topic and group; "" is nothing.
func (c Config) Prefix() string { return c.prefix }
