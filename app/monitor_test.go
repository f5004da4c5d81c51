package app_test

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/config"
	"penstock/engine/mysql"
	"penstock/internal/engines"
)

// violations reads what the monitor's gauge says of a kind; -1 before its first round.
func (h *house) violations(kind string) (n int) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://"+h.Addrs()["probe"]+"/metrics", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), `penstock_invariant_violations{kind="`+kind+`"} `)
	if !found {
		return -1
	}
	if _, err := fmt.Sscan(rest, &n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// monitored starts a Penstock whose monitor looks often and freezes.
func monitored(t *testing.T, engine string) *house {
	t.Helper()
	h := start(t, t.TempDir(), func(c *config.Config) {
		c.Stock, c.Monitor = engine, config.Monitor{Every: 100 * time.Millisecond, Freeze: true}
	})
	return h
}

// While buyers win, pay and cancel, the monitor has nothing to tell on either engine.
func TestMonitorIsSilentInAStampede(t *testing.T) {
	t.Parallel()
	for name, engine := range map[string]func(*testing.T) string{
		"embedded": func(*testing.T) string { return "sqlite:" },
		"MariaDB":  func(t *testing.T) string { return engines.MariaDB(t).Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := monitored(t, engine(t))
			h.createSale("s", 40)
			h.until("a first round", func() bool { return h.violations("stock-row") == 0 })
			var all sync.WaitGroup
			for n := range 4 {
				all.Go(func() {
					for i := range 20 {
						user := fmt.Sprint("u", n, "-", i)
						status, won := h.buy("s", user)
						if status != 201 {
							continue
						}
						if i%2 == 0 {
							h.call("public", h.token(user, ""), "POST", "/v1/orders/"+won["order"].(string)+"/cancellation", "c", nil)
						}
						for _, kind := range []string{"stock-row", "stock-row-and-journal", "gate-and-stock-row"} {
							if n := h.violations(kind); n != 0 {
								t.Errorf("%d violations of %s", n, kind)
							}
						}
					}
				})
			}
			all.Wait()
			h.drained()
			if found, _ := h.drift(false); len(found) > 0 {
				t.Errorf("reconcile finds %q", found)
			}
		})
	}
}

// A stock row that somebody changes in MariaDB while the sale runs is told within five seconds, and the sale is paused by the
// monitor with a row in the trail; an allowance, a claim and an order that were changed by hand are found by the first look and
// repaired or listed, and the second repair finds nothing to repair.
func TestPlantedDriftOnMariaDB(t *testing.T) {
	t.Parallel()
	engine := engines.MariaDB(t).Database(t)
	h := monitored(t, engine)
	h.createSale("s", 30)
	var orders []string
	for i := range 4 {
		orders = append(orders, h.order(fmt.Sprint("p", i)))
	}
	h.drained()
	h.until("a first round", func() bool { return h.violations("stock-row") == 0 })
	if found, _ := h.drift(false); len(found) > 0 {
		t.Fatalf("before anything was planted: %q", found)
	}
	db := h.mariadb(engine)
	exec := func(statement string) {
		t.Helper()
		res, err := db.ExecContext(t.Context(), statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, %v", statement, n, err)
		}
	}
	exec("UPDATE allowance SET taken = taken + 1 WHERE user = 'p0'")
	exec("UPDATE attempt SET state = 2 WHERE id = " + orders[1])
	table := h.tableOf(db, orders[2])
	exec("DELETE FROM " + table + " WHERE id = " + orders[2])
	if _, err := db.ExecContext(t.Context(), "DELETE FROM "+strings.Split(table, ".")[0]+".order_event WHERE order_id = "+orders[2]); err != nil {
		t.Fatal(err)
	}
	exec("UPDATE stock SET available = available - 1, sold = sold + 1")
	begun := time.Now()
	h.until("the alert", func() bool { return h.violations("stock-row-and-journal") == 1 })
	h.until("the freeze", func() bool {
		return slices.ContainsFunc(h.want(200, "admin", h.operator, "GET", "/admin/v1/audit?limit=200", "", nil)["items"].([]any), func(row any) bool {
			r := row.(map[string]any)
			return r["who"] == "monitor" && r["act"] == "sale.pause" && r["object"] == "sale/s"
		})
	})
	t.Logf("measured: told and frozen after %v", time.Since(begun).Round(time.Millisecond))
	if status, out := h.buy("s", "late"); status == 201 {
		t.Errorf("a frozen sale sells: %v", out)
	}

	found, _ := h.drift(false)
	want := []string{
		"allowance-and-claims allowance/s/tea/p0", "claim-and-journal claim/" + orders[1], "claim-without-order order/" + orders[2],
		"order-and-claim order/" + orders[1], "stock-row-and-journal stock/s/tea",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if _, repaired := h.drift(true); !slices.Equal(those(repaired), want[2:3]) {
		t.Errorf("repaired %q", those(repaired))
	}
	if left, repaired := h.drift(true); len(those(repaired)) != 0 || len(left) != len(want)-1 {
		t.Errorf("the second repair mends %q and leaves %q", those(repaired), left)
	}
}

func (h *house) mariadb(url string) *mysql.DB {
	h.t.Helper()
	cfg, err := mysql.Parse(url)
	if err != nil {
		h.t.Fatal(err)
	}
	db, err := mysql.Open(h.t.Context(), cfg, mysql.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { db.Close() })
	return db
}

// tableOf finds the table that an order lies in.
func (h *house) tableOf(db *mysql.DB, order string) string {
	h.t.Helper()
	rows, err := db.QueryContext(h.t.Context(), "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_schema LIKE ? AND table_name REGEXP '^orders_[0-9]{4}$'", db.Config().Database()+"%")
	if err != nil {
		h.t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			h.t.Fatal(err)
		}
		tables = append(tables, name)
	}
	rows.Close()
	for _, name := range tables {
		var n int
		if err := db.QueryRowContext(h.t.Context(), "SELECT COUNT(*) FROM "+name+" WHERE id = "+order).Scan(&n); err != nil && err != sql.ErrNoRows {
			h.t.Fatal(err)
		}
		if n == 1 {
			return name
		}
	}
	h.t.Fatalf("order %s lies in none of %d tables", order, len(tables))
	return ""
}
