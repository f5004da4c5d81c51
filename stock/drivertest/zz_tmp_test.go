package drivertest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

type calm struct {
	*sqlitestock.Driver
	path string
}

func (c *calm) Decide(ctx context.Context, r *driver.Reads, f func(*driver.State) *driver.Changes) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("PANIC %v", p)
		}
	}()
	return c.Driver.Decide(ctx, r, f)
}

func TestZZ(t *testing.T) {
	op := func(t testing.TB, path string, clk clock.Clock, p *fault.Points) driver.Driver {
		d, err := sqlitestock.Open(context.Background(), path, sqlitestock.Options{Clock: clk, Fault: p, CacheKiB: 1024})
		if err != nil {
			t.Fatal(err)
		}
		return &calm{d, path}
	}
	h := Harness{
		Open:   func(t testing.TB, clk clock.Clock, p *fault.Points) driver.Driver { return op(t, filepath.Join(t.TempDir(), "s.db"), clk, p) },
		Reopen: func(t testing.TB, old driver.Driver, clk clock.Clock, p *fault.Points) driver.Driver { return op(t, old.(*calm).path, clk, p) },
		Tidy: func(t testing.TB, drv driver.Driver) {
			if _, err := drv.(*calm).Archive(context.Background()); err != nil {
				t.Fatal(err)
			}
		},
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := newShop(t, h)
		m := &machine{s: s, sale: "s"}
		m.begin(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"": m.levels, "attempt": m.attempt, "sell": m.sell, "release": m.release, "offer": m.offer, "change": m.change,
			"advance": m.advance, "restart": m.restart, "tidy": m.tidy,
		})
	})
}
