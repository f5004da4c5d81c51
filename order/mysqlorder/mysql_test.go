package mysqlorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/drivertest"
	"penstock/order/shard"
)

// The driver keeps the contract, and what is its own, on a real server.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	srv := engines.MariaDB(t)
	url := srv.Database(t)
	b := &bundle{url: url, srv: srv}
	b.store = b.open(t, Options{})
	t.Run("contract", func(t *testing.T) { drivertest.Run(t, b.store) })
	t.Run("opened again with the same map only", b.openedAgain)
	t.Run("a value too long costs its own row", b.valueTooLong)
	t.Run("a batch longer than a message", b.longBatch)
	t.Run("two processes on the same orders", b.twoProcesses)
	t.Run("one server of two", b.twoServers)
}

type bundle struct {
	srv   *engines.Server
	url   string
	store *Store
}

// open opens a store as another process would.
func (b *bundle) open(t *testing.T, o Options) *Store {
	t.Helper()
	c, err := Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// orders makes n changes of new orders for users of one database.
func orders(m *shard.Map, g *ident.Generator, db, n int) []*driver.Change {
	var out []*driver.Change
	for i := 0; len(out) < n; i++ {
		user := fmt.Sprintf("u-%d", i)
		slot := ident.SlotOf(user)
		at, table := m.Route(slot)
		if at != db {
			continue
		}
		out = append(out, &driver.Change{ID: g.Next(time.Now(), slot), Table: table, Exist: true, Written: 2, Seed: &driver.Seed{
			User: user, Sale: "s", Key: fmt.Sprint(i), Items: "[]", Currency: "CNY", Amount: 1000, Created: 1, PayBefore: 2}})
	}
	return out
}

func (b *bundle) openedAgain(t *testing.T) {
	var steps int
	var mu sync.Mutex
	b.open(t, Options{Progress: func(string, int, int) { mu.Lock(); steps++; mu.Unlock() }})
	if steps != 0 {
		t.Errorf("%d steps of migration ran again", steps)
	}
	var other shard.Map
	form, err := json.Marshal(shard.First())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.Replace(string(form), "[0,", "[5,", 1)), &other); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, Options{Map: &other}); err == nil || !strings.Contains(err.Error(), "_orders_") {
		t.Errorf("opened with another map: %v", err)
	}
}

func (b *bundle) valueTooLong(t *testing.T) {
	cs := orders(b.store.Map(), ident.NewGenerator(1, 0), 1, 20)
	cs[7].Seed.Key = strings.Repeat("k", 5000)
	err := b.store.Database(1).Write(t.Context(), &driver.Batch{Changes: cs})
	if r, ok := errors.AsType[*driver.Refused](err); !ok || r.Index != -1 {
		t.Fatalf("a key of 5000 bytes: %v", err)
	}
	if err := b.store.Database(1).Write(t.Context(), &driver.Batch{Changes: append(cs[:7:7], cs[8:]...)}); err != nil {
		t.Fatal(err)
	}
	if o, err := b.store.Database(1).Get(t.Context(), cs[7].Table, cs[7].ID); o != nil || err != nil {
		t.Errorf("the bad row is %v, %v", o, err)
	}
}

// longBatch writes orders that take several messages together, one of them a message alone, with everything in their values that
// means something to SQL.
func (b *bundle) longBatch(t *testing.T) {
	cs := orders(b.store.Map(), ident.NewGenerator(4, 0), 2, 60)
	sku := func(i int) string {
		if i == 11 {
			return strings.Repeat("s", 2*mostText)
		}
		return strings.Repeat("s", 700*i)
	}
	const key = `k?';"\--` + "\x00`/*"
	for i, c := range cs {
		c.Seed.Key, c.Seed.Items = key, `[{"sku":"`+sku(i)+`","quantity":1,"price":1000}]`
	}
	if err := b.store.Database(2).Write(t.Context(), &driver.Batch{Changes: cs}); err != nil {
		t.Fatal(err)
	}
	for i, c := range cs {
		o, err := b.store.Database(2).Get(t.Context(), c.Table, c.ID)
		if err != nil || o == nil {
			t.Fatalf("order %d: %v, %v", i, o, err)
		}
		if !c.Made || o.Key != key || len(o.Lines) != 1 || o.Lines[0].SKU != sku(i) || len(o.Events) != 2 {
			t.Errorf("order %d: made %v, key %q, %d lines, %d events", i, c.Made, o.Key, len(o.Lines), len(o.Events))
		}
	}
}

// twoProcesses has two stores make and move the same orders at once: every row is made once, every move counts once, and events
// are numbered without gap.
func (b *bundle) twoProcesses(t *testing.T) {
	const rounds = 25
	seeds := orders(b.store.Map(), ident.NewGenerator(2, 0), 3, 40)
	made := make([]int, len(seeds))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for p := range 3 {
		s := b.open(t, Options{})
		wg.Go(func() {
			for r := range rounds {
				batch := &driver.Batch{Next: func(_ int, now driver.Current) (driver.Update, error) {
					return driver.Update{Refunded: now.Refunded + 1, Steps: []driver.Step{{To: driver.Paid, At: now.Changed + 1}}}, nil
				}}
				for i := range seeds {
					c := *seeds[(i*7+p*13+r)%len(seeds)]
					c.Exist = r == 0
					batch.Changes = append(batch.Changes, &c)
				}
				if err := s.Database(3).Write(t.Context(), batch); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, c := range batch.Changes {
					if c.Made {
						made[(i*7+p*13+r)%len(seeds)]++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, c := range seeds {
		o, err := b.store.Database(3).Get(t.Context(), c.Table, c.ID)
		if err != nil || o == nil || made[i] != 1 {
			t.Fatalf("order %d was made %d times: %v", i, made[i], err)
		}
		if want := int64(3 * (rounds - 1)); o.Refunded != want || o.Version != 2+want || int64(len(o.Events)) != o.Version {
			t.Errorf("order %d: refunded %d of %d, version %d, %d events", i, o.Refunded, want, o.Version, len(o.Events))
		}
		for n, e := range o.Events {
			if e.N != int64(n+1) {
				t.Errorf("order %d: event %d has number %d", i, n+1, e.N)
			}
		}
	}
}

// twoServers deals the databases over two entries of the list.
func (b *bundle) twoServers(t *testing.T) {
	base := b.srv.Database(t)
	c, err := Parse(base + "," + base + "x")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for db := range shard.Databases {
		cs := orders(s.Map(), ident.NewGenerator(3, 0), db, 3)
		if err := s.Database(db).Write(t.Context(), &driver.Batch{Changes: cs}); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.Database(db).Newest(context.Background(), math.MaxInt64, 10); err != nil || len(ids) != 3 {
			t.Errorf("database %d: %d orders, %v", db, len(ids), err)
		}
		x := strings.Contains(s.dbs[db].events, "x_orders_")
		if x != (db >= 4) {
			t.Errorf("database %d is in %s", db, s.dbs[db].events)
		}
	}
}
