//go:build linux

package main

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"path/filepath"
	"time"

	"penstock/engine/sqlite"
)

// batch is how many rows the bare group commit writes in one transaction: the most that the server gathers.
const batch = 512

// schema holds what a win writes: its journal row and the stock row of its batch.
var schema = []string{`
CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER NOT NULL, held INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO stock VALUES ('sku-1', 1000000000, 0, 1);
CREATE TABLE journal (
	seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, at INTEGER NOT NULL, sale INTEGER NOT NULL, user TEXT, key TEXT, body BLOB,
	id INTEGER, sku TEXT, quantity INTEGER, price INTEGER, lines TEXT, amount INTEGER, currency TEXT, pay_before INTEGER,
	release_at INTEGER, state INTEGER, ref INTEGER, why TEXT, trace TEXT
);`}

const (
	insertRow = `INSERT INTO journal VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	takeStock = `UPDATE stock SET available = available - ?, held = held + ?, version = version + 1 WHERE sku = 'sku-1' AND available >= ?`
)

// groupCommit is the bare peer of the wins: the same rows in the same engine with the same durability, a full batch at a time,
// with nobody asking and nobody answered. It counts rows, in the manner of a load.
type groupCommit struct {
	db   *sqlite.DB
	conn *sqlite.Conn
	seq  int64
	args []sqldriver.NamedValue
}

func openGroupCommit(dir string) (*groupCommit, error) {
	db, err := sqlite.Open(context.Background(), filepath.Join(dir, "bare.db"), schema, sqlite.Options{CacheKiB: 32 << 10, CheckpointPages: 16000})
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	return &groupCommit{db: db, conn: conn}, nil
}

func (g *groupCommit) run(length time.Duration) (tally, error) {
	from, began := g.seq, time.Now()
	for time.Since(began) < length {
		if err := g.commit(); err != nil {
			return tally{}, fmt.Errorf("bare group commit: %w", err)
		}
	}
	return tally{answers: g.seq - from, took: time.Since(began)}, nil
}

func (g *groupCommit) commit() error {
	if err := g.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := g.exec(takeStock, int64(batch), int64(batch), int64(batch)); err != nil {
		return err
	}
	body := make([]byte, 16)
	for range batch {
		g.seq++
		now := time.Now().UnixMicro()
		id := now<<12 | g.seq&4095
		err := g.exec(insertRow, g.seq, int64(1), now, int64(1), fmt.Sprintf("buyer-%d", g.seq), fmt.Sprintf("key-%d", g.seq), body, id, "sku-1", int64(1),
			int64(19900), nil, int64(19900), "EUR", now+900e6, now+930e6, int64(1), nil, nil, nil)
		if err != nil {
			return err
		}
	}
	return g.exec("COMMIT")
}

func (g *groupCommit) exec(query string, values ...any) error {
	g.args = g.args[:0]
	for i, v := range values {
		g.args = append(g.args, sqldriver.NamedValue{Ordinal: i + 1, Value: v})
	}
	_, err := g.conn.Exec(context.Background(), query, g.args)
	return err
}
