package redis

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// servers are all that may be asked, the standbys last.
func (c Config) servers() []string { return append(append([]string(nil), c.Addrs...), c.Replicas...) }

// dialPrimary dials the server and its standbys until one says that it is the primary.
func (c *Client) dialPrimary(ctx context.Context, _ string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Dial)
	defer cancel()
	var failed []error
	for _, addr := range c.cfg.servers() {
		conn, err := c.dialIfPrimary(ctx, addr, d, secure)
		if err == nil {
			return &primaryConn{conn}, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", addr, err))
	}
	return nil, errors.Join(failed...)
}

func (c *Client) dialIfPrimary(ctx context.Context, addr string, d *net.Dialer, secure *tls.Config) (net.Conn, error) {
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		t := secure.Clone()
		t.ServerName, _, _ = net.SplitHostPort(addr)
		conn = tls.Client(conn, t)
	}
	deadline, _ := ctx.Deadline()
	if err = conn.SetDeadline(deadline); err == nil {
		err = c.askRole(conn)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// askRole speaks just enough of the protocol to learn the role before the connection is handed over. Each command is sent
// after the answer to the one before, so that nothing is left unread.
func (c *Client) askRole(conn net.Conn) error {
	r := bufio.NewReader(conn)
	ask := func(args ...string) (string, error) {
		var b bytes.Buffer
		fmt.Fprintf(&b, "*%d\r\n", len(args))
		for _, a := range args {
			b.WriteString("$" + strconv.Itoa(len(a)) + "\r\n" + a + "\r\n")
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			return "", err
		}
		line, err := r.ReadString('\n')
		if err == nil && strings.HasPrefix(line, "-") {
			err = fmt.Errorf("%w: %s", errServer, strings.TrimSpace(line[1:]))
		}
		return line, err
	}
	if c.cfg.password != "" {
		user := c.cfg.user
		if user == "" {
			user = "default"
		}
		if _, err := ask("AUTH", user, c.cfg.password); err != nil {
			return err
		}
	}
	size, err := ask("INFO", "replication")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.Trim(size, "$\r\n"))
	if err != nil || n < 0 || n > 1<<20 {
		return fmt.Errorf("%w: it does not speak the protocol of Redis", errServer)
	}
	text := make([]byte, n+len("\r\n"))
	if _, err = io.ReadFull(r, text); err != nil {
		return err
	}
	switch role := parse(string(text))["role"]; role {
	case "master":
		return nil
	case "":
		return sentinel("it tells no role")
	default: // the next one, or this one soon
		return fmt.Errorf("it is not the primary, its role is %q", role)
	}
}

// sentinel says what to write instead of the address of a Sentinel.
func sentinel(what string) error {
	return fmt.Errorf("%w: %s; is it a Sentinel? Name the servers that it watches, as redis://primary:6379?replica=standby:6379: whichever is the primary is used",
		errServer, what)
}

// primaryConn gives a connection up when its server says that it is no primary any more, so that the next dial looks for it.
type primaryConn struct{ net.Conn }

func (c *primaryConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && bytes.HasPrefix(p[:n], []byte("-READONLY")) {
		return n, errors.Join(errDemoted, c.Close())
	}
	return n, err
}

var errDemoted = errors.New("redis: the server is no primary any more")
