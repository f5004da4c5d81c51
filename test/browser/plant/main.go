// Command plant makes the data directory of a stopped Penstock show two kinds of damage, for the browser tests: an order whose row is
// gone, and a message that has died with the order it was to write. It is a tool of tests and works on SQLite files only.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bus "penstock/bus/driver"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
	"penstock/internal/ident"
)

// message is a line of the export "outbox".
type message struct {
	ID, Topic, User, Key, Type string
	At                         time.Time
	Headers                    map[string]string
	Payload                    json.RawMessage
}

func main() {
	data := flag.String("data", "", "the data directory")
	gone := flag.String("gone", "", "id of an order whose row goes")
	flag.Parse()
	if err := run(context.Background(), *data, *gone); err != nil {
		fmt.Fprintln(os.Stderr, "plant:", err)
		os.Exit(1)
	}
}

// run takes the message that dies from standard input.
func run(ctx context.Context, data, gone string) error {
	var m message
	if err := json.NewDecoder(os.Stdin).Decode(&m); err != nil {
		return err
	}
	return errors.Join(forget(ctx, data, gone), forget(ctx, data, m.Key), die(ctx, data, m))
}

// forget removes an order and its events.
func forget(ctx context.Context, data, order string) error {
	id, err := ident.Parse(order)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(data, "orders", "*.db"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("there are no databases of orders"))
	}
	var found int64
	for _, f := range files {
		n, err := forgetIn(ctx, f, int64(id))
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		found += n
	}
	if found != 1 {
		return fmt.Errorf("order %s was found %d times", order, found)
	}
	return nil
}

func forgetIn(ctx context.Context, file string, id int64) (found int64, err error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type='table' AND sql LIKE '%pay_before%'`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return 0, err
		}
		tables = append(tables, name)
	}
	for _, t := range append(tables, "order_event") {
		column := "id"
		if t == "order_event" {
			column = "order_id"
		}
		res, err := db.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %q WHERE %s = ?`, t, column), id)
		if err != nil {
			return found, err
		}
		if n, err := res.RowsAffected(); err == nil && column == "id" {
			found += n
		}
	}
	return found, rows.Err()
}

func die(ctx context.Context, data string, m message) error {
	db, err := sqlstore.Open(ctx, filepath.Join(data, "bus.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	msg := bus.Message{ID: m.ID, Topic: m.Topic, User: m.User, Key: m.Key, Type: m.Type, Payload: m.Payload, Headers: m.Headers, At: m.At}
	err = sqlstore.New(db).Settle(ctx, "orders", []bus.Outcome{{Parked: bus.Parked{Message: msg}, Dead: &bus.DeadLetter{
		Message: msg, Reason: "the database did not answer", Attempts: 4, FailedAt: time.Now(), Group: "orders",
	}}})
	return errors.Join(err, db.Close())
}
