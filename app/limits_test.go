package app_test

import (
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

// With limits.shared two servers allow together what one alone would. A Redis that is slow for a moment is left out, as it should
// be; then the calls are made again by servers that have counted nothing.
func TestSharedLimits(t *testing.T) {
	t.Parallel()
	s := engines.Redis(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	refused := refusedOfTen(t, s.URL())
	for end := time.Now().Add(time.Minute); refused != 5 && time.Now().Before(end); refused = refusedOfTen(t, s.URL()) {
		if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if refused != 5 {
		t.Errorf("%d of 10 calls were refused, want 5", refused)
	}
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("penstock:limit:*:ip:*").Build()).AsStrSlice()
	if err != nil || len(keys) != 1 {
		t.Errorf("counters %q, %v", keys, err)
	}
}

// refusedOfTen counts what two servers of one Redis refuse of ten calls where five are allowed.
func refusedOfTen(t *testing.T, shared string) (refused int) {
	t.Helper()
	options := func(c *config.Config) { c.Limits.IP, c.Limits.Shared = config.Rate{N: 5, Per: 3600e9}, shared }
	servers := []*house{start(t, t.TempDir(), options), start(t, t.TempDir(), options)}
	for i := range 10 {
		if status, _ := servers[i%2].call("public", "", "GET", "/v1/sales", "", nil); status == http.StatusTooManyRequests {
			refused++
		}
	}
	return refused
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
