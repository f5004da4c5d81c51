package app_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/redis/rueidis"

	"penstock/config"
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
