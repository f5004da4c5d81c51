package app_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/config"
	"penstock/internal/engines"
)

// With limits.shared an app's quota is one over all instances: of calls at both at the same time exactly so many pass.
func TestAppQuotaOverInstances(t *testing.T) {
	t.Parallel()
	url, cache, dir := engines.MariaDB(t).Database(t), engines.Redis(t).URL(), t.TempDir()
	shared := func(node int) func(*config.Config) {
		return func(c *config.Config) {
			c.Stock, c.Gate, c.Node, c.Limits.Shared = url, cache, node, cache
			c.Apps.Key, c.Keys.File = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", filepath.Join(dir, "keys.json")
		}
	}
	one, two := start(t, filepath.Join(dir, "one"), shared(1)), start(t, filepath.Join(dir, "two"), shared(2))
	const quota = 12
	id, secrets := one.newApp(map[string]any{"name": "n", "apis": []string{"orders.read"}, "perDay": quota})
	token := one.grant(id, secrets["oauth2"][1])
	var passed, refused, other atomic.Int64
	call := func(h *house) {
		switch status, _ := h.call("public", token, "GET", "/v1/orders", "", nil); status {
		case http.StatusOK:
			passed.Add(1)
		case http.StatusTooManyRequests:
			refused.Add(1)
		default:
			other.Add(1) // the other instance does not know the app yet
		}
	}
	one.until("both instances know the quota", func() bool {
		for _, h := range []*house{one, two} {
			if _, out := h.call("admin", h.operator, "GET", "/admin/v1/gateway", "", nil); !hasLimit(out, "app-quota-day") {
				return false
			}
		}
		return true
	})
	var all sync.WaitGroup
	for _, h := range []*house{one, two} {
		for range 4 {
			all.Go(func() {
				for range quota / 3 {
					call(h)
				}
			})
		}
	}
	all.Wait()
	if passed.Load() != quota || refused.Load() != 8*quota/3-quota {
		t.Errorf("%d calls passed, %d were refused, %d neither", passed.Load(), refused.Load(), other.Load())
	}
}

// hasLimit reports whether a policy has a limit of the name.
func hasLimit(policy map[string]any, name string) bool {
	all, _ := policy["limits"].([]any)
	for _, l := range all {
		if rule, ok := l.(map[string]any); ok && rule["name"] == name {
			return true
		}
	}
	return false
}

// The series of the policy are there from the start: shedding is on, and limits are told by rule.
func TestGateSeries(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, "limits: [{name: ip, by: [ip], rate: 2/m}]\nbreakers: {pay: {failures: 3}}\n")
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *config.Config) { c.Gateway.File = file })
	for range 3 {
		h.call("public", h.token("ann", ""), "GET", "/v1/orders", "", nil)
	}
	text := h.series()
	for _, line := range []string{
		`penstock_limit_decisions_total{result="allowed",rule="ip"} 2`, `penstock_limit_decisions_total{result="refused",rule="ip"} 1`,
		`penstock_shed_passed_total{class="reading-won"} 2`, `penstock_shed_refused_total{class="searching"} 0`, `penstock_shed_limit 4096`,
		`penstock_shed_running 0`, `penstock_shed_waiting 0`, `penstock_breaker_state{breaker="pay",state="closed"} 1`, `penstock_breaker_state{breaker="pay",state="open"} 0`,
	} {
		if !slices.Contains(text, line) {
			t.Errorf("%s is not among the series", line)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// series are the metrics as a collector reads them.
func (h *house) series() []string {
	h.t.Helper()
	res, err := http.Get("http://" + h.Addrs()["probe"] + "/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}
