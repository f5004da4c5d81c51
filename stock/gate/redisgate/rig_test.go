package redisgate_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"penstock/engine/redis"
	"penstock/internal/engines"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/gate/redisgate"
	"penstock/stock/sqlitestock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database is one stock database under several instances, as a server would be: decisions one at a time, and counted.
type database struct {
	driver.Driver
	mu      sync.Mutex
	keys    atomic.Int64
	lookups atomic.Int64
}

func (d *database) Decide(ctx context.Context, r *driver.Reads, f func(*driver.State) *driver.Changes) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys.Add(int64(len(r.Keys)))
	return d.Driver.Decide(ctx, r, f)
}

func (d *database) Attempt(ctx context.Context, k driver.Key) (*driver.Attempt, error) {
	d.lookups.Add(1)
	return d.Driver.Attempt(ctx, k)
}

// instance is one process of several.
type instance struct {
	*sale.Sales
	gate  *redisgate.Gate
	stock *stock.Stock
	calls atomic.Int64 // of the admission script
	said  atomic.Value // "admit" after a call of it that went well
}

type rig struct {
	t         *testing.T
	db        *database
	instances []*instance
}

// open starts n instances over one database; instance i reaches Redis by urls[i % len(urls)].
func open(t *testing.T, n int, o redisgate.Options, urls ...string) *rig {
	t.Helper()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	must(t, err)
	r := &rig{t: t, db: &database{Driver: drv}}
	t.Cleanup(func() { must(t, drv.Close()) })
	for i := range n {
		r.add(i, urls[i%len(urls)], o)
	}
	return r
}

func (r *rig) add(node int, url string, o redisgate.Options) {
	t := r.t
	cfg, err := redis.Parse(url)
	must(t, err)
	client, err := redis.Open(t.Context(), cfg, redis.Options{Late: true, Dial: 200 * time.Millisecond, Timeout: 500 * time.Millisecond})
	must(t, err)
	in := &instance{}
	o.OnCall = func(c redisgate.Call) {
		if c.Op == "admit" {
			in.calls.Add(1)
			if c.Err == nil {
				in.said.Store(c.Op)
			}
		}
	}
	in.gate, err = redisgate.New(gate.New(100*time.Millisecond), client, r.db, o)
	must(t, err)
	in.stock, err = stock.New(t.Context(), r.db, stock.Options{Node: node + 1, OnCommit: in.gate.Observe})
	must(t, err)
	must(t, in.gate.Start(t.Context()))
	in.Sales = sale.New(in.stock, in.gate, sale.Options{})
	r.instances = append(r.instances, in)
	t.Cleanup(func() {
		must(t, in.gate.Stop(context.Background()))
		client.Close()
		must(t, in.stock.Close(context.Background()))
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes an open sale "s" (or another id) with one SKU "tea" and waits until every instance knows it and believes Redis.
func (r *rig) create(id string, units, perUser int64) {
	r.t.Helper()
	_, err := r.instances[0].Create(r.t.Context(), "op", sale.Definition{
		ID: id, Title: "Double Eleven", StartsAt: time.Now().Add(-time.Minute), EndsAt: time.Now().Add(time.Hour),
		Items: []sale.ItemDefinition{{SKU: "tea", Title: "Tea", Price: 990, Currency: "CNY", Stock: units, LimitPerUser: perUser}},
	})
	must(r.t, err)
	for _, in := range r.instances {
		r.within(patience, "the sale is known everywhere", func() bool { return in.gate.Sale(id) != nil })
	}
}

// useful waits until every instance believes Redis for the sale and returns how long it took.
func (r *rig) useful(id string) time.Duration {
	r.t.Helper()
	start := time.Now()
	for i, in := range r.instances {
		r.within(patience, fmt.Sprintf("instance %d believes redis", i), func() bool { return in.gate.State() == redisgate.Ready && in.gate.Believes(id) })
	}
	return time.Since(start)
}

// patience is far above what anything takes on a busy machine.
const patience = 60 * time.Second

// within polls a condition.
func (r *rig) within(limit time.Duration, what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within %v: %s", limit, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (r *rig) ask(in int, id, user, key string) stock.Answer {
	return r.instances[in].Attempt(context.Background(), stock.Request{Sale: id, User: user, Key: key, Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
}

// buy returns "won", "unknown" or the reason of the refusal, with a "+" for a replay.
func (r *rig) buy(in int, user, key string) string {
	a := r.ask(in, "s", user, key)
	out := a.State.String()
	if a.State == stock.Lost {
		out = string(a.Reason)
	}
	if a.Replayed {
		out += "+"
	}
	return out
}

func (r *rig) want(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (r *rig) level(id string) driver.Stock {
	r.t.Helper()
	snap, err := r.db.Snapshot(context.Background())
	must(r.t, err)
	for _, l := range snap.Stock {
		if l.Sale == id {
			return l
		}
	}
	r.t.Fatalf("no stock row of sale %s", id)
	return driver.Stock{}
}

// server is a Redis with a client of the test's own.
type server struct {
	*engines.Server
	c rueidis.Client
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := engines.Redis(t, args...)
	return &server{s, dial(t, s)}
}

func dial(t *testing.T, s *engines.Server) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, DisableCache: true, ForceSingleClient: true})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func (s *server) do(t *testing.T, args ...string) rueidis.RedisResult {
	t.Helper()
	res := s.c.Do(context.Background(), s.c.B().Arbitrary(args...).Build())
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatal(args, err)
	}
	return res
}

func (s *server) count(t *testing.T, args ...string) int64 {
	t.Helper()
	res := s.do(t, args...)
	n, err := res.AsInt64()
	must(t, err)
	return n
}

// narrows waits until the grace of the newest build is over.
func (r *rig) narrows(t *testing.T, s *server) {
	t.Helper()
	r.within(patience, "the build narrows", func() bool {
		return s.count(t, "EVAL", "local t = redis.call('TIME'); if t[1]*1000+t[2]/1000 > tonumber(redis.call('HGET', KEYS[1], 'u')) then return 1 end return 0",
			"1", keyG) == 1
	})
}
