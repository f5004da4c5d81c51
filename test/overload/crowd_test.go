package overload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/test/cluster/rig"
)

// capacity is how many calls a second the policy lets through.
const capacity = 200

func full() bool { return os.Getenv("OVERLOAD") == "full" }

// length is how long each load lasts.
func length() time.Duration {
	if full() {
		return 10 * time.Second
	}
	return 2 * time.Second
}

// shop is one process with all roles and the capacity.
type shop struct {
	*rig.Cluster
	t      *testing.T
	client *http.Client
	url    string
	tokens []string
	used   int
}

func open(t *testing.T, buyers int) *shop {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "gateway.yaml")
	text := fmt.Sprintf("limits: []\nshedding: {capacity: %d, waiting: 4096}\nrules:\n  - {match: [\"GET /v1/sales\"], class: searching}\n", capacity)
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := rig.New(t, rig.Plan{
		Binary: rig.Binary(t), Processes: []rig.Process{{Name: "all", Roles: "all"}},
		Env: []string{"PENSTOCK_GATEWAY_FILE=" + policy},
	})
	s := &shop{Cluster: c, t: t, url: "http://" + c.Nodes[0].Addresses().Public}
	s.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1024, MaxConnsPerHost: 4096}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.tokens = c.Tokens(buyers)
	return s
}

// buyer is somebody who has not called yet.
func (s *shop) buyer() string {
	s.used++
	return s.tokens[s.used-1]
}

// reply is what became of a call. Status 0 means that no answer came.
type reply struct {
	status int
	body   []byte
	took   time.Duration
	pause  string // Retry-After
}

func (s *shop) call(token, method, path, body string) reply {
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", `"k"`)
	req.Header.Set("Content-Type", "application/json")
	begun := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{took: time.Since(begun)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{took: time.Since(begun)}
	}
	return reply{resp.StatusCode, text, time.Since(begun), resp.Header.Get("Retry-After")}
}

// openLoop calls do at the rate for the length, whether or not earlier calls have been answered, and returns how many it began a
// second, when all have ended.
func openLoop(rate int, d time.Duration, do func(i int)) float64 {
	var wg sync.WaitGroup
	begun, n := time.Now(), 0
	for ; ; n++ {
		due := begun.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if due.Sub(begun) >= d {
			break
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		i := n
		wg.Go(func() { do(i) })
	}
	offered := float64(n) / time.Since(begun).Seconds()
	wg.Wait()
	return offered
}

// outcome is what a load of attempts brought.
type outcome struct {
	offered, goodput float64 // calls a second
	won, refused     int
	wrong            []string
	refusals         []time.Duration
}

func (o outcome) p99() time.Duration {
	if len(o.refusals) == 0 {
		return 0
	}
	slices.Sort(o.refusals)
	return o.refusals[len(o.refusals)*99/100]
}

// attempts are made by one new buyer each.
func (s *shop) attempts(rate int) outcome {
	var o outcome
	var mu sync.Mutex
	tokens := make([]string, int(float64(rate)*length().Seconds())+2)
	for i := range tokens {
		tokens[i] = s.buyer()
	}
	begun := time.Now()
	o.offered = openLoop(rate, length(), func(i int) {
		r := s.call(tokens[i], http.MethodPost, "/v1/sales/flash/attempts", `{"sku":"sku-1","quantity":1}`)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.status == http.StatusCreated:
			o.won++
		case r.status == http.StatusServiceUnavailable && bytes.Contains(r.body, []byte(`/reduced-capacity"`)) && bytes.Contains(r.body, []byte(`"executed":false`)) && r.pause != "":
			o.refused++
			o.refusals = append(o.refusals, r.took)
		default:
			o.wrong = append(o.wrong, fmt.Sprintf("%d %s", r.status, r.body))
		}
	})
	o.goodput = float64(o.won) / time.Since(begun).Seconds()
	return o
}
