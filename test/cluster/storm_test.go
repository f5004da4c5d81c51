package cluster

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/storm"
	"penstock/test/cluster/rig"
)

func number(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Processes, and every engine under them, may go away in the middle of a stampede: nobody who was told yes is forgotten, no
// unit is sold twice or lost, every unknown settles, and the sale sells out exactly.
func TestStormWithEverythingFailing(t *testing.T) {
	e := shared{binary: rig.Binary(t), mysql: engines.MariaDB(t), kafka: engines.Kafka(t, 1, engines.KafkaOptions{})}
	first, runs := number(t, "CLUSTER_SEED", time.Now().UnixMicro()), number(t, "CLUSTER_SEEDS", 1)
	for seed := first; seed < first+runs; seed++ {
		t.Run("seed "+strconv.FormatInt(seed, 10), func(t *testing.T) {
			c := newCluster(t, e)
			if err := c.Offer("flash", 3000, 10*time.Minute); err != nil {
				t.Fatal(err)
			}
			rep, err := c.Stampede(storm.Config{
				Sale: "flash", Rate: 120, Seed: seed, Pay: 0.8, Retry: 1, Double: 0.05, Pass: 0.5,
				Linger: 20 * time.Second, Settle: 60 * time.Second, Timeout: 8 * time.Second,
			}, c.Tokens(6000), func(ctx context.Context) { c.trouble(ctx, seed) })
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range rig.Broken(rep, 3000) {
				t.Error(wrong)
			}
			t.Logf("measured: seed %d, %d attempts, won %d, refused %d, shed %d, unknown %d; p99 %.0f ms; stock %+v",
				rep.Seed, rep.Attempts, rep.Won, rep.Refused, rep.Shed, rep.Unknown, rep.Latency.P99, rep.Stock)
		})
	}
}

// trouble is one of each, in an order that the seed draws.
func (c *cluster) trouble(ctx context.Context, seed int64) {
	r := rand.New(rand.NewPCG(uint64(seed), 4))
	pause := func(least, most time.Duration) bool {
		select {
		case <-time.After(least + time.Duration(r.Int64N(int64(most-least)+1))):
			return true
		case <-ctx.Done():
			return false
		}
	}
	paused, killed := c.sales[r.IntN(3)], c.orders[r.IntN(2)]
	acts := []struct {
		name string
		do   func()
	}{
		{"flush Redis", func() { c.flush() }},
		{"kill MariaDB", func() { c.mysql.Kill(c.t); pause(time.Second, 2*time.Second); c.mysql.Start(c.t) }},
		{"kill the broker", func() {
			c.kafka.Nodes[0].Kill(c.t)
			pause(time.Second, 3*time.Second)
			c.kafka.Nodes[0].Start(c.t)
		}},
		{"kill " + killed.Name, func() { killed.Kill(); pause(0, time.Second); killed.Start(c.t) }},
	}
	r.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	if !pause(time.Second, 3*time.Second) {
		return
	}
	c.t.Logf("%s is paused for 40 s", paused.Name)
	paused.Signal(syscall.SIGSTOP)
	wake := time.Now().Add(40 * time.Second)
	for _, a := range acts {
		if !pause(time.Second, 4*time.Second) {
			break
		}
		c.t.Log(a.name)
		a.do()
	}
	select {
	case <-time.After(time.Until(wake)):
	case <-ctx.Done():
	}
	paused.Signal(syscall.SIGCONT)
}

// flush empties Redis, as a restart without its data would.
func (c *cluster) flush() {
	c.redis.Kill(c.t)
	if err := os.RemoveAll(c.redis.Dir()); err != nil {
		c.t.Error(err)
	}
	if err := os.MkdirAll(c.redis.Dir(), 0o750); err != nil {
		c.t.Error(err)
	}
	c.redis.Start(c.t)
}
