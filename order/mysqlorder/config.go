package mysqlorder

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"penstock/engine/mysql"
	"penstock/order/shard"
)

// Example is a list of servers that Parse accepts.
const Example = "mysql://penstock:secret@db1:3306/penstock?replica=db2:3306"

// Config says which servers hold the orders.
type Config struct{ servers []server }

type server struct {
	primary  mysql.Config
	replicas []mysql.Config
}

// Parse reads one or several URLs of package engine/mysql, separated by commas, each with any number of replica=host:port
// parameters. The path names the databases: /penstock stands for penstock_orders_0 and so on. Server j of n holds databases
// j·8/n up to (j+1)·8/n, so that n is at most the number of databases. Replicas have the user, password and database of their
// server. The error names what is wrong, never a password.
func Parse(raw string) (Config, error) {
	var c Config
	for i, part := range strings.Split(raw, ",mysql://") {
		if i > 0 {
			part = "mysql://" + part
		}
		s, err := parseServer(strings.TrimSpace(part))
		if err != nil {
			return Config{}, err
		}
		c.servers = append(c.servers, s)
	}
	return c, nil
}

func parseServer(raw string) (server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		_, err = mysql.Parse(raw) // says it without the password
		return server{}, errors.Join(err, errURL)
	}
	q := u.Query()
	replicas := q["replica"]
	q.Del("replica")
	u.RawQuery = q.Encode()
	var s server
	if s.primary, err = mysql.Parse(u.String()); err != nil {
		return server{}, err
	}
	if s.primary.Database() == "" {
		return server{}, fmt.Errorf("orders URL %s names no database; a valid one is %s", s.primary, Example)
	}
	for _, addr := range replicas {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return server{}, fmt.Errorf("orders URL %s: replica=%s is not host:port; a valid URL is %s", s.primary, addr, Example)
		}
		u.Host = addr
		r, err := mysql.Parse(u.String())
		if err != nil {
			return server{}, fmt.Errorf("replica %s: %w", addr, err)
		}
		s.replicas = append(s.replicas, r)
	}
	return s, nil
}

var errURL = errors.New("a valid list of servers is " + Example)

// String returns the URLs of the primaries without their passwords.
func (c Config) String() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.primary.String())
	}
	return strings.Join(all, ",")
}

// databaseName is the name of a database of orders.
func databaseName(base string, number int) string { return fmt.Sprintf("%s_orders_%d", base, number) }

// serverOf returns which of n servers holds a database.
func serverOf(number, databases, n int) int {
	for j := range n {
		if number < (j+1)*databases/n {
			return j
		}
	}
	return n - 1
}

// Name returns the name of database number on its server, with the eight databases of map version 1.
func (c Config) Name(number int) string {
	return databaseName(c.servers[serverOf(number, shard.Databases, len(c.servers))].primary.Database(), number)
}
