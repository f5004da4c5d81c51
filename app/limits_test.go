package app_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"penstock/config"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/internal/engines"
)

// With limits.shared two servers allow together what one alone would.
func TestSharedLimits(t *testing.T) {
	t.Parallel()
	s := engines.Redis(t)
	shared := func(c *config.Config) { c.Limits.IP, c.Limits.Shared = config.Rate{N: 5, Per: 3600e9}, s.URL() }
	one, other := start(t, t.TempDir(), shared), start(t, t.TempDir(), shared)
	refused := 0
	for i := range 10 {
		h := one
		if i%2 == 1 {
			h = other
		}
		if status, _ := h.call("public", "", "GET", "/v1/sales", "", nil); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 10 calls were refused, want 5", refused)
	}
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	keys, err := c.Do(context.Background(), c.B().Keys().Pattern("penstock:limit:*:ip:*").Build()).AsStrSlice()
	if err != nil || len(keys) != 1 {
		t.Errorf("counters %q, %v", keys, err)
	}
}

// All callers together may call one API as often as limits.api says, and no more; each API counts for itself, and a stampede's own
// routes have no such limit.
func TestEachAPIHasALimit(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Limits.API = config.Rate{N: 3, Per: time.Hour} })
	h.createSale("flash", 10)
	for i := range 5 {
		who := h.token(fmt.Sprintf("user-%d", i), "")
		want := http.StatusOK
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if status, out := h.call("public", who, "GET", "/v1/sales", "", nil); status != want {
			t.Errorf("call %d: %d %v", i, status, out)
		}
		if status, out := h.buy("flash", fmt.Sprintf("user-%d", i)); status != http.StatusCreated {
			t.Errorf("attempt %d: %d %v", i, status, out)
		}
	}
	if status, out := h.call("public", h.token("user-0", ""), "GET", "/v1/orders", "", nil); status != http.StatusOK {
		t.Errorf("another API: %d %v", status, out)
	}
}

// What no limit for all callers together may refuse are routes that there are.
func TestFreeRoutesExist(t *testing.T) {
	t.Parallel()
	routes := api.PublicRoutes()
	for _, name := range gateway.FreeRoutes() {
		if _, ok := routes[name]; !ok {
			t.Errorf("%s is no route", name)
		}
	}
}
