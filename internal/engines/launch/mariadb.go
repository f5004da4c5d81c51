package launch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

var mariadbVersion = regexp.MustCompile(`Ver (\S+)`)

// replicationUser may replicate and nothing else; it exists once a primary has a replica.
const (
	replicationUser     = "replicator"
	replicationPassword = "replicator"
)

// MariaDB is a durable server: every commit is synced to its log and its binary log. The user root has no password. Its port
// is its server id. Later args win over earlier ones.
func MariaDB(dir string, port int, args ...string) (Spec, error) {
	path, err := find(MySQL, "mariadb-server", "mariadbd")
	if err != nil {
		return Spec{}, err
	}
	install, err := find(MySQL, "mariadb-server", "mariadb-install-db")
	if err != nil {
		return Spec{}, err
	}
	version, err := versionOf(path, mariadbVersion)
	if err != nil {
		return Spec{}, err
	}
	data := filepath.Join(dir, "data")
	// A server that starts removes what it takes for temporary tables of dead servers, those of live neighbours included.
	temporary := "--tmpdir=" + dir
	all := []string{"--no-defaults", temporary, "--datadir=" + data, "--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port),
		"--socket=mysql.sock", // within the data directory: the whole path may be longer than a socket's name can be
		"--pid-file=" + filepath.Join(data, "server.pid"), "--skip-name-resolve", "--max-connections=3000",
		"--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--log-bin=bin", "--binlog-format=ROW", "--gtid-strict-mode=1",
		"--log-slave-updates=1", "--server-id=" + strconv.Itoa(port)}
	initial := []string{"--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", temporary, "--datadir=" + data}
	if os.Getuid() == 0 {
		all, initial = append(all, "--user=root"), append(initial, "--user=root")
	}
	return Spec{
		Engine: MySQL, Version: version, Dir: dir, Port: port, Path: path, Args: append(all, args...),
		Prepare: func(ctx context.Context) error {
			done := filepath.Join(dir, "installed")
			if _, err := os.Stat(done); err == nil {
				return nil
			}
			// what an interrupted installation left is no data of anybody
			if err := os.RemoveAll(data); err != nil {
				return err
			}
			if err := run(ctx, install, initial...); err != nil {
				return err
			}
			return os.WriteFile(done, nil, 0o600)
		},
		Ready: func(ctx context.Context, _ int) error { return mariadbReady(ctx, Loopback(port), data) },
	}, nil
}

// MariaDBReplicaArgs make a server fit to be a replica that refuses writes by ordinary users.
func MariaDBReplicaArgs() []string {
	return []string{"--read-only=1", "--slave-parallel-threads=4", "--slave-parallel-mode=optimistic"}
}

// OpenMariaDB is a pool of connections as root. The caller closes it.
func OpenMariaDB(addr string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.Logger = "root", "tcp", addr, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// mariadbReady takes a refusal by the server for ready: tests may have set a password. Otherwise it makes sure that the
// server is the one with this data.
func mariadbReady(ctx context.Context, addr, data string) error {
	db, err := OpenMariaDB(addr)
	if err != nil {
		return err
	}
	defer db.Close()
	var dir string
	var refused *mysql.MySQLError
	if err := db.QueryRowContext(ctx, "SELECT @@datadir").Scan(&dir); errors.As(err, &refused) {
		return nil
	} else if err != nil {
		return err
	}
	if filepath.Clean(dir) != data {
		return fmt.Errorf("another server answers at %s", addr)
	}
	return nil
}

// Replicate makes an empty server follow a primary from the primary's first transaction on. It returns before the replica
// has caught up; see Replicating.
func Replicate(ctx context.Context, replica, primary Spec) error {
	err := statements(ctx, primary.Addr(),
		"SET sql_log_bin=0", // a semi-synchronous primary would wait for the replica that cannot log in yet
		fmt.Sprintf("CREATE USER IF NOT EXISTS %s@127.0.0.1 IDENTIFIED BY '%s'", replicationUser, replicationPassword),
		fmt.Sprintf("GRANT REPLICATION SLAVE ON *.* TO %s@127.0.0.1", replicationUser))
	if err != nil {
		return err
	}
	return statements(ctx, replica.Addr(),
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s', "+
			"MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1", primary.Port, replicationUser, replicationPassword),
		"START SLAVE")
}

func statements(ctx context.Context, addr string, all ...string) error {
	db, err := OpenMariaDB(addr)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // they are one session's
	for _, s := range all {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Replicating returns nil once the replica has everything that the primary had committed when this was called.
func Replicating(ctx context.Context, replica, primary Spec) error {
	from, err := OpenMariaDB(primary.Addr())
	if err != nil {
		return err
	}
	defer from.Close()
	var position string
	if err := from.QueryRowContext(ctx, "SELECT @@gtid_binlog_pos").Scan(&position); err != nil {
		return err
	}
	to, err := OpenMariaDB(replica.Addr())
	if err != nil {
		return err
	}
	defer to.Close()
	var late int
	if err := to.QueryRowContext(ctx, "SELECT MASTER_GTID_WAIT(?, 1)", position).Scan(&late); err != nil {
		return err
	}
	if late != 0 {
		return fmt.Errorf("%s has not applied %s yet", replica.Addr(), position)
	}
	return nil
}

// CreateDatabase makes a utf8mb4 database that compares as bytes, unless it exists.
func CreateDatabase(ctx context.Context, addr, name string) error {
	return statements(ctx, addr, "CREATE DATABASE IF NOT EXISTS "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
}
