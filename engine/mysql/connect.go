package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// sqlMode makes the server refuse what it would otherwise truncate or bend.
const sqlMode = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

// connector opens sessions. It puts a bound on the whole of connecting and marks its errors, because nothing can have been
// executed by a connection that never was.
type connector struct {
	driver.Connector
	addr   string
	within time.Duration
}

func newConnector(c Config, o Options) (*connector, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = c.user, c.password
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", c.addr, c.database
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = o.Connect, o.Reply, o.Reply
	cfg.InterpolateParams, cfg.MultiStatements = !o.Prepared, o.Scripts
	cfg.ClientFoundRows = true
	cfg.MaxAllowedPacket = 0 // ask the server
	cfg.Logger = &mysql.NopLogger{}
	cfg.Params = map[string]string{
		"sql_mode":                 "'" + sqlMode + "'",
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": seconds(o.LockWait),
		"wait_timeout":             seconds(o.Abandon),
	}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	var err error
	if cfg.TLS, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	base, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return &connector{base, c.addr, o.Connect}, nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func (c Config) tlsConfig() (*tls.Config, error) {
	if c.tls == tlsOff {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil {
		return nil, err
	}
	t, err := c.files.Config()
	if err != nil {
		return nil, fmt.Errorf("database URL parameter %w", err)
	}
	t.ServerName, t.InsecureSkipVerify = host, c.tls == tlsUnverified
	return t, nil
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	conn, err := c.Connector.Connect(bounded)
	if err == nil {
		if err = isolate(bounded, conn); err == nil {
			return conn, nil
		}
		err = errors.Join(err, conn.Close())
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &connectError{c.addr, err}
}

// isolate is a statement of its own because the variable has a name in MySQL and another in MariaDB.
func isolate(ctx context.Context, conn driver.Conn) error {
	e, ok := conn.(driver.ExecerContext)
	if !ok {
		return fmt.Errorf("%T cannot execute", conn)
	}
	_, err := e.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
	return err
}

// connectError says that there is no session with the server.
type connectError struct {
	addr string
	err  error
}

func (e *connectError) Error() string {
	return fmt.Sprintf("connect to database server %s: %v", e.addr, e.err)
}

func (e *connectError) Unwrap() error { return e.err }
