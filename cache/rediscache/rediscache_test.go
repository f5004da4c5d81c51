package rediscache

import (
	"context"
	"strings"
	"testing"

	"penstock/cache/driver"
	"penstock/cache/drivertest"
	"penstock/engine/redis"
	"penstock/internal/engines"
)

// The store in Redis keeps the contract of the port, with copies near by and without.
func TestConformance(t *testing.T) {
	t.Parallel()
	url := engines.Redis(t).URL()
	for name, caching := range map[string]bool{"near": true, "far": false} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, func(t testing.TB) driver.Driver { return open(t, url, caching) })
		})
	}
}

// So it does on a cluster, where a value and its lease must meet in one slot.
func TestConformanceOnCluster(t *testing.T) {
	t.Parallel()
	var addrs []string
	for _, n := range engines.RedisCluster(t) {
		addrs = append(addrs, n.Addr())
	}
	drivertest.Run(t, func(t testing.TB) driver.Driver {
		return open(t, "redis://"+strings.Join(addrs, ",")+"?cluster=true", true)
	})
}

// A repeated read is answered near by, without a word to Redis.
func TestRepeatedReadsStayNear(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, engines.Redis(t).URL(), true)
	if ok, _, err := s.Begin(ctx, "a:b:1", "t", 1e9); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if ok, err := s.Fill(ctx, "a:b:1", "t", []byte("v"), 60e9); err != nil || !ok {
		t.Fatal(ok, err)
	}
	commands := func() string {
		r, _ := s.client.Redis()
		text, err := r.Do(ctx, r.B().Info().Section("commandstats").Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(text, "cmdstat_get:calls=")
		n, _, _ := strings.Cut(rest, ",")
		return n
	}
	if v, err := s.Get(ctx, "a:b:1"); err != nil || string(v) != "v" {
		t.Fatal(v, err)
	}
	before := commands()
	for range 1000 {
		if v, err := s.Get(ctx, "a:b:1"); err != nil || string(v) != "v" {
			t.Fatal(v, err)
		}
	}
	if after := commands(); after != before || after == "" {
		t.Errorf("GET was called %s times in all before and %s after 1000 reads, want none more", before, after)
	}
}

func open(t testing.TB, raw string, caching bool) *Store {
	t.Helper()
	cfg, err := redis.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := redis.Open(context.Background(), cfg, redis.Options{Caching: caching, Commands: []string{"EVALSHA", "EVAL", "GET", "SET", "DEL"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return New(c, Options{})
}
