package mysqlorder_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	bus "penstock/bus/driver"
	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/mysqlorder"
	"penstock/order/shard"
	"penstock/stock"
	"penstock/stock/driver"
)

const (
	inFlight = 4   // Handle calls at a time, and connections of the raw loop
	poll     = 500 // messages of one Handle call
)

// BenchmarkDrain writes new orders with their events from messages of stock.held, four Handle calls at a time, and compares them
// with raw loops in the same run, interleaved, on tables of the same form: "raw" puts 100 rows at a time into one table after
// the other with one INSERT each, four connections, without events; "alike" does in one transaction what an order costs, the
// same spread of rows over tables and an insert of the events, without reading or checking anything.
func BenchmarkDrain(b *testing.B) {
	srv := engines.MariaDB(b)
	store := openStore(b, srv.Database(b))
	orders, err := order.New(store, nil, order.Options{Patience: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer orders.Stop()
	peer := newPeer(b, srv)
	gen := ident.NewGenerator(1, 0)
	const rounds = 5
	rows := max(inFlight*poll, b.N*inFlight*poll/rounds)
	rates := map[string][]float64{}
	b.ResetTimer()
	for range rounds {
		msgs := held(gen, rows)
		for name, do := range map[string]func(){
			"orders": func() { drain(b, orders, msgs) },
			"raw":    func() { peer.raw(b, rows) },
			"alike":  func() { peer.alike(b, rows) },
		} {
			began := time.Now()
			do()
			rates[name] = append(rates[name], float64(rows)/time.Since(began).Seconds())
		}
	}
	for name, all := range rates {
		slices.Sort(all)
		b.ReportMetric(all[rounds/2], name+"/s")
		b.Logf("%s: %.0f rows a second, from %.0f to %.0f", name, all[rounds/2], all[0], all[rounds-1])
	}
	b.ReportMetric(rates["orders"][rounds/2]/rates["raw"][rounds/2], "of-raw")
	b.ReportMetric(rates["orders"][rounds/2]/rates["alike"][rounds/2], "of-alike")
}

func openStore(tb testing.TB, url string) *mysqlorder.Store {
	tb.Helper()
	c, err := mysqlorder.Parse(url)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := mysqlorder.Open(context.Background(), c, mysqlorder.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func held(gen *ident.Generator, n int) []bus.Message {
	now := time.Now()
	out := make([]bus.Message, n)
	for i := range out {
		user := fmt.Sprintf("buyer-%d-%07d", now.UnixNano(), i)
		a := &driver.Attempt{
			ID: gen.Next(now, ident.SlotOf(user)), Key: driver.Key{Sale: "s1", User: user, Key: "k"}, At: now,
			Lines: []driver.Line{{SKU: "phone", Quantity: 1, Price: 99900}}, Amount: 99900, Currency: "CNY",
			PayBefore: now.Add(time.Minute), ReleaseAt: now.Add(time.Minute), State: driver.Held,
		}
		payload, err := json.Marshal(stock.EventOf(a, now, ""))
		if err != nil {
			panic(err)
		}
		out[i] = bus.Message{ID: a.ID.String(), Topic: stock.Topic, User: user, Key: a.ID.String(), Type: stock.EventHeld, Payload: payload, At: now,
			Headers: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	}
	return out
}

func drain(b *testing.B, o *order.Orders, msgs []bus.Message) {
	parallel(b, len(msgs)/poll, func(i int) error {
		return errors.Join(o.Handle(context.Background(), msgs[i*poll:(i+1)*poll])...)
	})
}

func parallel(b *testing.B, n int, do func(i int) error) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range inFlight {
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// peer is a store of its own that raw loops write into.
type peer struct {
	db   *mysql.DB
	base string
	mu   sync.Mutex
	id   int64
}

func newPeer(b *testing.B, srv *engines.Server) *peer {
	url := srv.Database(b)
	openStore(b, url)
	c, err := mysql.Parse(url)
	if err != nil {
		b.Fatal(err)
	}
	db, err := mysql.Open(context.Background(), c, mysql.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return &peer{db: db, base: c.Database()}
}

func (p *peer) table(n int) string {
	db := n / shard.Tables % shard.Databases
	return fmt.Sprintf("`%s_orders_%d`.%s", p.base, db, shard.TableName(db, n%shard.Tables))
}

func (p *peer) rows(n int) (first int64, args []any) {
	p.mu.Lock()
	first = p.id
	p.id += int64(n)
	p.mu.Unlock()
	for i := range int64(n) {
		args = append(args, first+i+1, fmt.Sprintf("buyer-%07d", first+i), "s1", "k", `[{"sku":"phone","quantity":1,"price":99900}]`, "pending_payment",
			99900, "CNY", 0, 1, 2, 1, 2, nil, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	return first, args
}

const (
	rowInsert   = "(id, user, sale, `key`, items, state, amount, currency, refunded, created, pay_before, changed, version, delivery, trace) VALUES "
	eventInsert = "(order_id, n, at, from_state, to_state, why, who) VALUES "
)

func (p *peer) raw(b *testing.B, rows int) {
	parallel(b, rows/100, func(i int) error {
		_, args := p.rows(100)
		_, err := p.db.Exec("INSERT INTO "+p.table(i)+rowInsert+mysql.Placeholders(100, 15), args...)
		return err
	})
}

func (p *peer) alike(b *testing.B, rows int) {
	parallel(b, rows/100, func(i int) error {
		first, args := p.rows(100)
		db := i % shard.Databases
		return mysql.Tx(context.Background(), p.db, func(tx *sql.Tx) error {
			for t := range shard.Tables {
				n := (t+1)*100/shard.Tables - t*100/shard.Tables
				if _, err := tx.Exec("INSERT INTO "+p.table(db*shard.Tables+t)+rowInsert+mysql.Placeholders(n, 15), args[:n*15]...); err != nil {
					return err
				}
				args = args[n*15:]
			}
			var events []any
			for id := first + 1; id <= first+100; id++ {
				events = append(events, id, 1, 1, "", "accepted", "", "", id, 2, 1, "accepted", "pending_payment", "", "")
			}
			_, err := tx.Exec(fmt.Sprintf("INSERT INTO `%s_orders_%d`.order_event", p.base, db)+eventInsert+mysql.Placeholders(200, 7), events...)
			return err
		})
	})
}
