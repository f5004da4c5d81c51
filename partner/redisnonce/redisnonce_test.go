package redisnonce

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/redis"
	"penstock/internal/engines"
)

// A nonce is taken once, whoever of several processes asks, it has an end, and with Redis gone nobody is told that it is fresh.
func TestOnce(t *testing.T) {
	t.Parallel()
	server := engines.Redis(t)
	open := func() *Store {
		cfg, err := redis.Parse(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		c, err := redis.Open(t.Context(), cfg, redis.Options{Commands: Commands()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return New(c, "", nil)
	}
	stores := []*Store{open(), open()}
	var id [32]byte
	_, _ = rand.Read(id[:])
	until := time.Now().Add(10 * time.Minute)
	var first atomic.Int64
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ok, err := stores[i%2].Once(t.Context(), id, until)
			if err != nil {
				t.Error(err)
			}
			if ok {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if first.Load() != 1 {
		t.Errorf("%d of 50 were told that the nonce is fresh", first.Load())
	}
	r, err := stores[0].client.Redis()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.Do(t.Context(), r.B().Keys().Pattern("penstock:nonce:*").Build()).AsStrSlice()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v %v", keys, err)
	}
	if left, err := r.Do(t.Context(), r.B().Pttl().Key(keys[0]).Build()).AsInt64(); err != nil || left < 590_000 || left > 600_000 {
		t.Errorf("it ends in %d ms, %v", left, err)
	}
	server.Kill(t)
	id[0]++
	if ok, err := stores[0].Once(t.Context(), id, until); ok || err == nil {
		t.Errorf("without Redis: %v %v", ok, err)
	}
}
