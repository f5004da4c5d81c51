package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"penstock/engine/mysql"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/driver"
	"penstock/order/mysqlorder"
	"penstock/order/shard"
	"penstock/order/sqliteorder"
)

func newShard(e *env) *cobra.Command {
	return group("shard", "tell where orders are kept, how evenly, and whether each is in its place",
		newShardWhere(e), newShardSpread(e), newShardVerify(e))
}

// orderStore gives a command the flags that name a store of orders, and opens it to read.
type orderStore struct {
	s    *settings
	json bool
}

func addOrderStore(e *env, c *cobra.Command) *orderStore {
	o := &orderStore{s: addSettings(e, c, "data", "stock", "orders")}
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return o
}

func (o *orderStore) open(ctx context.Context) (driver.Store, error) {
	cfg, err := o.s.load()
	if err != nil {
		return nil, err
	}
	if url := cfg.OrdersEngine(); strings.HasPrefix(url, "mysql://") {
		return openMySQLOrders(ctx, url)
	}
	s, err := sqliteorder.Open(ctx, filepath.Join(cfg.Data, "orders"), sqliteorder.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unreachable("name a data directory with --data, or servers with --orders", "%s has no orders: %w", cfg.Data, err)
	}
	return s, err
}

func openMySQLOrders(ctx context.Context, url string) (driver.Store, error) {
	c, err := mysqlorder.Parse(url)
	if err != nil {
		return nil, usage("a valid value of --orders is "+mysqlorder.Example, "%w", err)
	}
	s, err := mysqlorder.Open(ctx, c, mysqlorder.Options{ReadOnly: true})
	if mysql.Unavailable(err) || mysql.Lost(err) {
		return nil, unreachable("is the database server running there?", "%w", err)
	}
	return s, err
}

// place is where an order, or the orders of a user, live.
type place struct {
	Verdict  string `json:"verdict"`
	Slot     int    `json:"slot"`
	Database int    `json:"database"`
	Table    string `json:"table"`
	Map      int    `json:"mapVersion"`
}

func newShardWhere(e *env) *cobra.Command {
	var user string
	var asJSON bool
	c := &cobra.Command{
		Use: "where ORDER | --user U", Short: "print slot, database and table of an order, or of a user's orders",
		Long: "Print slot, database and table of an order, or of a user's orders. They follow from the id alone; no database is asked.",
	}
	c.Flags().StringVar(&user, "user", "", "the user whose orders are meant")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.RunE = func(c *cobra.Command, given []string) error {
		var slot int
		switch {
		case user != "" && len(given) == 0:
			slot = ident.SlotOf(user)
		case user == "" && len(given) == 1:
			id, err := ident.Parse(given[0])
			if err != nil {
				return usage("an order id is what a win and a list of orders show", "%w", err)
			}
			slot = id.Slot()
		default:
			return usage("write `"+c.CommandPath()+" 123456789` or `"+c.CommandPath()+" --user U`", "%s takes an order's id or --user", c.CommandPath())
		}
		m := shard.First()
		db, table := m.Route(slot)
		at := place{"pass", slot, db, shard.TableName(db, table), m.Version()}
		if asJSON {
			return writeJSON(e.out, at)
		}
		return at.print(e)
	}
	return c
}

func (at place) print(e *env) error {
	return table(e.out, [][]string{
		{"slot", strconv.Itoa(at.Slot)}, {"database", fmt.Sprintf("orders_%d", at.Database)}, {"table", at.Table}, {"map", fmt.Sprintf("version %d", at.Map)},
	})
}

func newShardVerify(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "look at every order: it must be in the one table that its id routes to", Args: args(),
		Long: "Look at every order of a data directory or of the servers of --orders: it must be in exactly one database and table, the one that\n" +
			"its id and its user route to. Nothing is changed. Exit code 1 when an order is misplaced.",
	}
	o := addOrderStore(e, c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		s, err := o.open(c.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		var found []order.Misplaced
		looked, err := order.Verify(c.Context(), s, func(m order.Misplaced) { found = append(found, m) })
		if err != nil {
			return err
		}
		return tellPlacement(e, o.json, looked, found)
	}
	return c
}

// invariant is a finding in the form of API.md §5.
type invariant struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Checked    int64  `json:"checked"`
	Violations int    `json:"violations"`
	Verdict    string `json:"verdict"`
}

func tellPlacement(e *env, asJSON bool, looked int64, found []order.Misplaced) error {
	verdict := "pass"
	if len(found) > 0 {
		verdict = "fail"
	}
	lines := []string{}
	for _, m := range found {
		lines = append(lines, fmt.Sprintf("order %s is in %s, its place is %s", m.ID, shard.TableName(m.DB, m.Table), shard.TableName(m.WantDB, m.WantTable)))
	}
	if asJSON {
		if err := writeJSON(e.out, map[string]any{
			"verdict": verdict, "misplaced": lines,
			"invariants": []invariant{{"I20", "an order is in the one table that its key routes to", looked, len(found), verdict}},
		}); err != nil {
			return err
		}
	} else {
		for _, l := range lines {
			fmt.Fprintln(e.out, l)
		}
		fmt.Fprintf(e.out, "%s: %d orders looked at, %d misplaced\n", verdict, looked, len(found))
	}
	if len(found) > 0 {
		return verdictFailed()
	}
	return nil
}
