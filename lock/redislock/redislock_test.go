package redislock

import (
	"context"
	"strings"
	"testing"

	"penstock/engine/redis"
	"penstock/internal/engines"
	"penstock/lock/driver"
	"penstock/lock/drivertest"
)

// The store in Redis keeps the contract of the port.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := open(t, engines.Redis(t).URL())
	drivertest.Run(t, func(testing.TB) driver.Driver { return s })
}

// So it does on a cluster, where the keys of a lock must meet in one slot.
func TestConformanceOnCluster(t *testing.T) {
	t.Parallel()
	var addrs []string
	for _, n := range engines.RedisCluster(t) {
		addrs = append(addrs, n.Addr())
	}
	s := open(t, "redis://"+strings.Join(addrs, ",")+"?cluster=true")
	drivertest.Run(t, func(testing.TB) driver.Driver { return s })
}

func open(t testing.TB, raw string) *Store {
	t.Helper()
	cfg, err := redis.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := redis.Open(context.Background(), cfg, redis.Options{Commands: []string{"EVALSHA", "EVAL", "BLPOP"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return New(c, "")
}
