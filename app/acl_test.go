package app_test

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"penstock/config"
	"penstock/engine/redis"
	"penstock/internal/engines"
)

// The user of Redis that docs/topology.md shows suffices for the gate and the limits: a sale sells and is refused nothing.
func TestRestrictedRedisUser(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/topology.md")
	if err != nil {
		t.Fatal(err)
	}
	line := string(regexp.MustCompile(`(?m)^ACL SETUSER penstock on >secret .*$`).Find(bytes.TrimSpace(text)))
	server := engines.Redis(t)
	cfg, err := redis.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := redis.Open(t.Context(), cfg, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	r, err := admin.Redis()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(line)
	if err = r.Do(t.Context(), r.B().Arbitrary(words...).Build()).Error(); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	url := "redis://penstock:secret@" + server.Addr()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Gate, c.Limits.Shared = url, url })
	h.lineSale("queue", 2)
	pass := h.admitted("queue", "ann")
	if status, out := h.call("public", pass, "POST", "/v1/sales/queue/attempts", "k1", map[string]any{"sku": "tea", "quantity": 1}); status != http.StatusCreated {
		t.Errorf("%d %v", status, out)
	}
	h.until("the gate and the limits have their keys", func() bool {
		gate, err := r.Do(t.Context(), r.B().Keys().Pattern("penstock:gate:*").Build()).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		limits, err := r.Do(t.Context(), r.B().Keys().Pattern("penstock:limit:*").Build()).AsStrSlice()
		return err == nil && len(gate) > 0 && len(limits) > 0
	})
	refused, err := r.Do(t.Context(), r.B().Arbitrary("ACL", "LOG").Build()).ToAny()
	if all, _ := refused.([]any); err != nil || len(all) != 0 {
		t.Errorf("refused to the user: %v, %v", refused, err)
	}
}
