package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Flavour is the family of a server.
type Flavour string

// The families. What one of them lacks may speed things up, never decide.
const (
	MySQL   Flavour = "MySQL"
	MariaDB Flavour = "MariaDB"
	TiDB    Flavour = "TiDB"
)

// DB is a pool of sessions on one database. RowsAffected counts the rows that a statement matched, changed or not; times are
// read as text, so tables keep them as integers.
type DB struct {
	*sql.DB
	config Config
	opt    Options
	// Flavour and Version are what the server said of itself, such as MariaDB and "10.11.19-MariaDB".
	Flavour Flavour
	Version string
	// Warnings are what the server's settings put at risk without making a commit a lie; each says what to do.
	Warnings []string
}

// Config returns what the database was opened with.
func (db *DB) Config() Config { return db.config }

// Open connects, checks the server and returns the pool, which the caller closes. A wrong setting makes an error that names
// it and the remedy, and for which [Unavailable] is false; a server that is down makes one for which it is true.
func Open(ctx context.Context, c Config, o Options) (*DB, error) {
	if c.database == "" {
		return nil, wrong("database URL %s: it names no database; a valid one is %s", c, Example)
	}
	db, err := open(c, o)
	if err != nil {
		return nil, err
	}
	if err = db.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", c, explain(c, err)), db.Close())
	}
	return db, nil
}

func open(c Config, o Options) (*DB, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	conn, err := newConnector(c, o)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(conn)
	pool.SetMaxOpenConns(o.Pool)
	pool.SetMaxIdleConns(o.Pool)
	pool.SetConnMaxLifetime(o.Lifetime)
	pool.SetConnMaxIdleTime(o.Abandon / 2)
	return &DB{DB: pool, config: c, opt: o}, nil
}

// EnsureDatabase creates the database of c if it is missing, with utf8mb4 compared as bytes. One that exists is left as it is.
func EnsureDatabase(ctx context.Context, c Config) error {
	if err := checkName(c.database); err != nil {
		return fmt.Errorf("database URL %s: %w", c, err)
	}
	db, err := open(c.With(""), Options{Pool: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	create := "CREATE DATABASE IF NOT EXISTS " + quote(c.database) + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	if _, err = db.ExecContext(ctx, create); err != nil {
		return fmt.Errorf("create database %s on %s: %w", c.database, c.addr, explain(c, err))
	}
	return nil
}
