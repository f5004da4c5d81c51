package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"penstock/order/shard"
)

// share is one table's part of the orders. Deviation is from an even share, 0.15 for 15 % more.
type share struct {
	Table     string  `json:"table"`
	Database  int     `json:"database"`
	Orders    int64   `json:"orders"`
	Deviation float64 `json:"deviation"`
}

func newShardSpread(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "spread", Short: "print how many orders each table has, with its deviation from an even share", Args: args(),
		Long: "Print how many orders each database and table has, with its deviation from an even share. A few hundred orders are never even;\n" +
			"from some thousands a table on, 15 % is much, or one user bought much.",
	}
	o := addOrderStore(e, c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		s, err := o.open(c.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		var tables []share
		databases := make([]share, s.Map().Databases())
		for db := range databases {
			count, err := s.Database(db).Count(c.Context())
			if err != nil {
				return err
			}
			databases[db] = share{Table: fmt.Sprintf("orders_%d", db), Database: db}
			for t, n := range count {
				tables = append(tables, share{Table: shard.TableName(db, t), Database: db, Orders: n})
				databases[db].Orders += n
			}
		}
		total := deviate(tables)
		deviate(databases)
		if o.json {
			return writeJSON(e.out, map[string]any{"verdict": "pass", "orders": total, "databases": databases, "tables": tables})
		}
		return printShares(e, total, databases, tables)
	}
	return c
}

// deviate fills in the deviations and returns the sum.
func deviate(shares []share) (total int64) {
	for _, s := range shares {
		total += s.Orders
	}
	for i := range shares {
		if total > 0 {
			shares[i].Deviation = float64(shares[i].Orders)*float64(len(shares))/float64(total) - 1
		}
	}
	return total
}

func printShares(e *env, total int64, databases, tables []share) error {
	rows := [][]string{}
	for _, list := range [][]share{databases, tables} {
		most := int64(1)
		for _, s := range list {
			most = max(most, s.Orders)
		}
		for _, s := range list {
			rows = append(rows, []string{
				s.Table, fmt.Sprint(s.Orders), fmt.Sprintf("%+.1f %%", 100*s.Deviation), strings.Repeat("#", int(s.Orders*40/most)),
			})
		}
	}
	if err := table(e.out, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(e.out, "%d orders in %d databases, %d tables\n", total, len(databases), len(tables))
	return err
}
