package redisgate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"penstock/engine/redis"
	"penstock/internal/engines"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// BenchmarkRedis is the time of Redis per attempt, beside what the same server does with plain pipelined SETs and GETs, in one run.
// ns/op is the wall time per attempt with one call in flight; redis-ns/op is what Redis itself spent in the command.
//
//	go test -run ^$ -bench Redis ./stock/gate/redisgate
func BenchmarkRedis(b *testing.B) {
	server := engines.Redis(b)
	cfg, err := redis.Parse(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	client, err := redis.Open(b.Context(), cfg, redis.Options{Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	c, err := client.Redis()
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{1, 64, 256} {
		for _, name := range []string{"set", "get"} {
			b.Run(fmt.Sprintf("ceiling %s/pipeline=%d", name, batch), func(b *testing.B) { ceiling(b, c, name, batch) })
		}
		b.Run(fmt.Sprintf("admitted/batch=%d", batch), func(b *testing.B) { attempts(b, client, batch, 1<<40) })
		b.Run(fmt.Sprintf("refused/batch=%d", batch), func(b *testing.B) { attempts(b, client, batch, 0) })
	}
}

func ceiling(b *testing.B, c rueidis.Client, name string, batch int) {
	ctx := context.Background()
	reset(b, c)
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		cmds := make(rueidis.Commands, min(batch, b.N-n))
		for i := range cmds {
			key := "bench:" + strconv.Itoa((n+i)%100000)
			if name == "set" {
				cmds[i] = c.B().Set().Key(key).Value("12345678").Build()
			} else {
				cmds[i] = c.B().Get().Key(key).Build()
			}
		}
		for _, res := range c.DoMulti(ctx, cmds...) {
			if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	report(b, c, name)
}

func attempts(b *testing.B, client *redis.Client, batch int, free int64) {
	c, err := client.Redis()
	if err != nil {
		b.Fatal(err)
	}
	g, err := New(gate.New(0), client, nil, Options{Calls: 1})
	if err != nil {
		b.Fatal(err)
	}
	g.Observe(stock.Committed{
		Sales: []driver.Sale{{ID: "s", EndsAt: time.Now().Add(time.Hour), Version: 1}},
		Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: free, Available: free, Version: 1}},
	})
	reset(b, c)
	l := g.lane("s")
	g.opt.Attempt = time.Nanosecond // a new build narrows at once
	if err := g.replace(c, l, found{}, g.rows("s")); err != nil {
		b.Fatal(err)
	}
	g.gone.Store(false)
	g.opt.Deadline = 10 * time.Second // a busy machine must not open the breaker
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		waiters := make([]*waiter, min(batch, b.N-n))
		for i := range waiters {
			r := stock.Request{Sale: "s", User: "user-" + strconv.Itoa(n+i), Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}}
			waiters[i] = &waiter{user: hash(r.User), since: g.opt.Clock.Now(), done: make(chan struct{})}
			waiters[i].encode(&r, false)
		}
		l.call(waiters)
		want := byte('p')
		if free == 0 {
			want = 'h'
		}
		if last := waiters[len(waiters)-1]; !last.ok || last.said.letter != want {
			b.Fatalf("ok is %v, said %q, want %q", last.ok, last.said.letter, want)
		}
	}
	b.StopTimer()
	report(b, c, "evalsha")
}

func reset(b *testing.B, c rueidis.Client) {
	ctx := context.Background()
	for _, res := range c.DoMulti(ctx, c.B().Flushall().Build(), c.B().ConfigResetstat().Build()) {
		if err := res.Error(); err != nil {
			b.Fatal(err)
		}
	}
}

// report adds what Redis counted for a command.
func report(b *testing.B, c rueidis.Client, name string) {
	text, err := c.Do(context.Background(), c.B().Info().Section("commandstats").Build()).ToString()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "cmdstat_"+name+":")
	_, usec, _ := strings.Cut(rest, "usec=")
	usec, _, _ = strings.Cut(usec, ",")
	spent, err := strconv.ParseFloat(usec, 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(spent*1000/float64(b.N), "redis-ns/op")
}
