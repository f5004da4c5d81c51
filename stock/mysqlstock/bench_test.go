package mysqlstock_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/internal/ident"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// BenchmarkHotSKU compares ways to keep the units of one SKU that three processes sell at once: one row that is locked first, the same
// row changed last, eight buckets, and a row per unit taken with SKIP LOCKED. Everything else of a batch is the same. DESIGN.md has the figures.
func BenchmarkHotSKU(b *testing.B) {
	server := engines.MariaDB(b)
	for _, batch := range []int{64, 256} {
		for _, way := range []struct {
			name string
			take func(context.Context, *sql.Tx, *seller, int) error
		}{{"row", takeRow}, {"late", nil}, {"buckets", takeBuckets}, {"units", takeUnits}} {
			b.Run(fmt.Sprintf("%s/batch=%d", way.name, batch), func(b *testing.B) {
				sellers := open3(b, server, int64(b.N*batch))
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				start := time.Now()
				var wg sync.WaitGroup
				for _, s := range sellers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							s.batch(b, batch, way.take)
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N*batch)/time.Since(start).Seconds(), "wins/s")
				b.StopTimer()
				sellers[0].check(b, int64(b.N*batch))
			})
		}
	}
}

// seller is one process of the comparison: plain statements, as the driver sends them.
type seller struct {
	db   *mysql.DB
	ids  *ident.Generator
	n, i int
}

const buckets = 8

func open3(b *testing.B, server *engines.Server, units int64) []*seller {
	b.Helper()
	url := server.Database(b)
	e := &env{server: server, urls: map[driver.Driver]string{}}
	e.open(b, url, mysqlstock.Options{}) // makes the tables
	db := e.admin(b, url)
	must(b, db, "INSERT INTO stock VALUES ('s', 'a', ?, ?, 0, 0, 0, 1)", units, units)
	must(b, db, "CREATE TABLE bucket (n INT PRIMARY KEY, available BIGINT NOT NULL) ENGINE=InnoDB")
	for n := range int64(buckets) {
		must(b, db, "INSERT INTO bucket VALUES (?, ?)", n, units/buckets+min(1, max(0, units%buckets-n)))
	}
	must(b, db, "CREATE TABLE unit (id BIGINT PRIMARY KEY, attempt BIGINT NOT NULL, KEY free (attempt, id)) ENGINE=InnoDB")
	for from := int64(0); from < units; from += 1000 {
		var t strings.Builder
		for id := from; id < min(from+1000, units); id++ {
			fmt.Fprintf(&t, ",(%d,0)", id+1)
		}
		must(b, db, "INSERT INTO unit VALUES "+t.String()[1:])
	}
	var all []*seller
	for n := range 3 {
		own, err := mysql.Open(b.Context(), config(b, url), mysql.Options{Pool: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = own.Close() })
		all = append(all, &seller{db: own, ids: ident.NewGenerator(n, 0), n: n})
	}
	return all
}

func x(s string) string { return "X'" + hex.EncodeToString([]byte(s)) + "'" }

// batch decides as the driver does: reads behind the lock on units, attempts and allowances, then head, journal, commit.
func (s *seller) batch(b *testing.B, n int, take func(context.Context, *sql.Tx, *seller, int) error) {
	ctx := context.Background()
	var keys, users, attempts, taken, journal []string
	for range n {
		s.i++
		user := fmt.Sprintf("user-%d-%d", s.n, s.i*7919%1000003)
		id := s.ids.Next(time.Now(), ident.SlotOf(user))
		key := fmt.Sprintf("8f14e45f-ceea-467f-%d-%d", s.n, s.i)
		keys = append(keys, "("+x(user)+",'s',"+x(key)+")")
		users = append(users, "('s','a',"+x(user)+")")
		attempts = append(attempts, fmt.Sprintf("(%d,%s,'s',%s,X'00112233445566778899aabbccddeeff',1,'','',0,%s,100,'CNY',1,%d,1,'',%s)",
			id, x(user), x(key), x(`[{"sku":"a","quantity":1,"price":100}]`), time.Now().UnixMicro(), x("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")))
		taken = append(taken, "('s','a',"+x(user)+",1)")
		journal = append(journal, fmt.Sprintf("(%%d,1,1,%d,NULL,NULL)", id))
	}
	for {
		err := mysql.Tx(ctx, s.db, func(tx *sql.Tx) error {
			if take != nil {
				if err := take(ctx, tx, s, n); err != nil {
					return err
				}
			}
			for _, q := range []string{
				"SELECT expires FROM node WHERE n = " + fmt.Sprint(s.n+5) + " FOR UPDATE",
				"SELECT taken FROM allowance WHERE (sale, sku, user) IN (" + strings.Join(users, ",") + ")",
				"SELECT id FROM attempt WHERE (user, sale, akey) IN (" + strings.Join(keys, ",") + ")",
				"INSERT INTO allowance VALUES " + strings.Join(taken, ",") + " ON DUPLICATE KEY UPDATE taken = taken + VALUES(taken)",
				"INSERT INTO attempt VALUES " + strings.Join(attempts, ","),
			} {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			if take == nil {
				if err := takeLate(ctx, tx, n); err != nil {
					return err
				}
			}
			res, err := tx.ExecContext(ctx, "UPDATE head SET seq = LAST_INSERT_ID(seq + ?), commits = commits + 1 WHERE one = 1", n)
			if err != nil {
				return err
			}
			last, _ := res.LastInsertId()
			seqs := make([]any, n)
			for i := range seqs {
				seqs[i] = last - int64(n) + 1 + int64(i)
			}
			_, err = tx.ExecContext(ctx, "INSERT INTO journal VALUES "+fmt.Sprintf(strings.Join(journal, ","), seqs...))
			return err
		})
		if err == nil {
			return
		}
		if !mysql.Retry(err) {
			b.Error(err)
			return
		}
	}
}

func takeRow(ctx context.Context, tx *sql.Tx, _ *seller, n int) error {
	var available int
	if err := tx.QueryRowContext(ctx, "SELECT available FROM stock WHERE sale = 's' AND sku = 'a' FOR UPDATE").Scan(&available); err != nil {
		return err
	}
	if available < n {
		return fmt.Errorf("%d left", available)
	}
	_, err := tx.ExecContext(ctx, "UPDATE stock SET available = available - ?, held = held + ?, version = version + 1 WHERE sale = 's' AND sku = 'a'", n, n)
	return err
}

// takeLate takes the units from the one row, but only after everything else is written.
func takeLate(ctx context.Context, tx *sql.Tx, n int) error {
	res, err := tx.ExecContext(ctx, "UPDATE stock SET available = available - ?, held = held + ?, version = version + 1 WHERE sale = 's' AND sku = 'a' AND available >= ?", n, n, n)
	if err != nil {
		return err
	}
	if got, err := res.RowsAffected(); err != nil || got != 1 {
		return fmt.Errorf("%d rows, %w", got, err)
	}
	return nil
}

// takeBuckets begins at a bucket of its own and goes round until it has all: the last units are found wherever they are.
func takeBuckets(ctx context.Context, tx *sql.Tx, s *seller, n int) error {
	s.i++
	for i := 0; n > 0 && i < buckets; i++ {
		bucket, available := (s.n*3+s.i+i)%buckets, 0
		if err := tx.QueryRowContext(ctx, "SELECT available FROM bucket WHERE n = ? FOR UPDATE", bucket).Scan(&available); err != nil {
			return err
		}
		some := min(available, n)
		n -= some
		if some == 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, "UPDATE bucket SET available = available - ? WHERE n = ?", some, bucket); err != nil {
			return err
		}
	}
	if n > 0 {
		return fmt.Errorf("%d short", n)
	}
	return nil
}

func takeUnits(ctx context.Context, tx *sql.Tx, _ *seller, n int) error {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM unit WHERE attempt = 0 ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED", n)
	if err != nil {
		return err
	}
	var ids []string
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, fmt.Sprint(id))
	}
	if err := rows.Close(); err != nil || len(ids) < n {
		return fmt.Errorf("%d of %d units, %w", len(ids), n, err)
	}
	_, err = tx.ExecContext(ctx, "UPDATE unit SET attempt = 1 WHERE id IN ("+strings.Join(ids, ",")+")")
	return err
}

// check fails the benchmark unless every unit was sold once.
func (s *seller) check(b *testing.B, units int64) {
	b.Helper()
	var holds, row, rest, free int64
	if err := s.db.QueryRow("SELECT (SELECT COUNT(*) FROM journal), (SELECT available FROM stock), (SELECT SUM(available) FROM bucket), (SELECT COUNT(*) FROM unit WHERE attempt = 0)").
		Scan(&holds, &row, &rest, &free); err != nil {
		b.Fatal(err)
	}
	if holds != units || row != 0 && rest != 0 && free != 0 {
		b.Errorf("%d holds of %d units; left: row %d, buckets %d, units %d", holds, units, row, rest, free)
	}
}

// BenchmarkDecide measures the driver: batches of wins by one process and by three, of one SKU and of one each.
func BenchmarkDecide(b *testing.B) {
	server := engines.MariaDB(b)
	for _, c := range []struct{ processes, skus int }{{1, 1}, {3, 1}, {3, 3}} {
		for _, batch := range []int{64, 256, 512} {
			b.Run(fmt.Sprintf("processes=%d/skus=%d/batch=%d", c.processes, c.skus, batch), func(b *testing.B) {
				decideWins(b, server, c.processes, c.skus, batch)
			})
		}
	}
}

func decideWins(b *testing.B, server *engines.Server, processes, skus, batch int) {
	e := &env{server: server, urls: map[driver.Driver]string{}}
	url := server.Database(b)
	dbs := make([]*mysqlstock.DB, processes)
	for i := range dbs {
		dbs[i] = e.open(b, url, mysqlstock.Options{})
	}
	sale := driver.Sale{ID: "s", StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour), Version: 1}
	var rows []driver.Stock
	for i := range skus {
		n := int64(b.N * batch)
		rows = append(rows, driver.Stock{Sale: "s", SKU: fmt.Sprint(i), Offered: n, Available: n, Version: 1})
	}
	if err := dbs[0].Decide(b.Context(), &driver.Reads{Sales: []string{"s"}}, func(*driver.State) *driver.Changes {
		return &driver.Changes{Sales: []driver.Sale{sale}, Stock: rows}
	}); err != nil {
		b.Fatal(err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for n, d := range dbs {
		wg.Go(func() {
			ids := ident.NewGenerator(n, 0)
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				if err := winBatch(d, ids, fmt.Sprint(n%skus), fmt.Sprint(n, "-", i), batch); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*batch)/time.Since(start).Seconds(), "wins/s")
}

// winBatch decides a batch of wins by users that are new.
func winBatch(d *mysqlstock.DB, ids *ident.Generator, sku, name string, batch int) error {
	r := &driver.Reads{Stock: []driver.StockRef{{Sale: "s", SKU: sku}}, Sales: []string{"s"}}
	for i := range batch {
		user := fmt.Sprintf("user-%d-%s", i*7919%1009, name)
		r.Keys = append(r.Keys, driver.Key{Sale: "s", User: user, Key: "8f14e45f-ceea-467f-a1d5-" + user})
		r.Taken = append(r.Taken, driver.TakenRef{Sale: "s", SKU: sku, User: user})
	}
	return d.Decide(context.Background(), r, func(st *driver.State) *driver.Changes {
		ch := &driver.Changes{Stock: []driver.Stock{*st.Stock[0]}}
		ch.Stock[0].Available -= int64(batch)
		ch.Stock[0].Held += int64(batch)
		ch.Stock[0].Version++
		for _, k := range r.Keys {
			ch.Attempts = append(ch.Attempts, &driver.Attempt{
				ID: ids.Next(st.Now, ident.SlotOf(k.User)), Key: k, At: st.Now, Lines: []driver.Line{{SKU: sku, Quantity: 1, Price: 100}},
				Amount: 100, Currency: "CNY", PayBefore: st.Now, ReleaseAt: st.Now, State: driver.Held,
				Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			})
		}
		return ch
	})
}
