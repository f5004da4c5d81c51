package cache_test

import (
	"context"
	"errors"
	"fmt"

	"penstock/cache"
	"penstock/cache/memorycache"
)

// The origin is asked once, and again after a change.
func ExampleCache() {
	ctx := context.Background()
	prices := map[string]int{"42": 1999}
	asked := 0
	load := func(_ context.Context, id string) (int, error) {
		asked++
		if price, ok := prices[id]; ok {
			return price, nil
		}
		return 0, cache.ErrNotFound
	}
	store, err := memorycache.New(memorycache.Options{})
	if err != nil {
		panic(err)
	}
	c, err := cache.New(store, "shop", "price", load, cache.Options[int]{TTL: cache.TTLHot})
	if err != nil {
		panic(err)
	}
	defer c.Stop()

	for range 1000 {
		_, _ = c.Get(ctx, "42")
	}
	fmt.Println("asked", asked, "time for 1000 reads")
	err = c.Write(ctx, "42", func(context.Context) error { prices["42"] = 1499; return nil })
	price, _ := c.Get(ctx, "42")
	fmt.Println("after the change:", price, err)
	_, err = c.Get(ctx, "43")
	fmt.Println("not found:", errors.Is(err, cache.ErrNotFound))
	// Output:
	// asked 1 time for 1000 reads
	// after the change: 1499 <nil>
	// not found: true
}
