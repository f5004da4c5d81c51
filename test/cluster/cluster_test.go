package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/order/shard"
	"penstock/storm"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// cluster is six processes and their engines.
type cluster struct {
	t                *testing.T
	mysql            *engines.Server
	redis            *engines.Server
	kafka            *engines.KafkaCluster
	sales, orders    []*node
	rest             *node
	router           *router
	keys             string
	operator, prefix string
}

// shared are the engines, started once for all tests of the package; each test has a database, a topic prefix and a Redis of
// its own.
type shared struct {
	mysql *engines.Server
	kafka *engines.KafkaCluster
}

// freePort returns a port that was free a moment ago, for a process whose address others must know before it runs.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newCluster starts everything and returns when every process is ready.
func newCluster(t *testing.T, e shared) *cluster {
	t.Helper()
	c := &cluster{t: t, mysql: e.mysql, kafka: e.kafka, redis: engines.Redis(t), keys: filepath.Join(t.TempDir(), "keys.json")}
	database := e.mysql.Database(t)
	sandbox, callback := freePort(t), freePort(t)
	env := []string{
		"PENSTOCK_STOCK=" + database, "PENSTOCK_GATE=" + c.redis.URL(),
		"PENSTOCK_BUS=" + e.kafka.URL + "?topic-prefix=" + filepath.Base(database) + "-",
		"PENSTOCK_KEYS_FILE=" + c.keys, "PENSTOCK_PAYMENT_SECRET=" + secret, "PENSTOCK_PAYMENT_SANDBOX=http://" + sandbox,
		"PENSTOCK_PAYMENT_CALLBACK=http://" + callback, "PENSTOCK_LIMITS_IP=off", "PENSTOCK_LIMITS_USER=off", "PENSTOCK_LIMITS_ATTEMPT=off",
	}
	c.rest = newNode(t, "rest", "admin,timers,relay,sandbox", append(env, "PENSTOCK_LISTEN_SANDBOX="+sandbox))
	c.rest.start(t) // makes the schema and the keys; the others find them
	for i := range 3 {
		c.sales = append(c.sales, newNode(t, fmt.Sprintf("sale-%d", i+1), "sale", env))
	}
	for i := range 2 {
		c.orders = append(c.orders, newNode(t, fmt.Sprintf("order-%d", i+1), "order", env))
	}
	for _, n := range c.nodes() {
		if n != c.rest {
			n.launch(t)
		}
	}
	for _, n := range c.nodes() {
		if err := n.ready(); err != nil {
			t.Fatalf("%s did not become ready: %v\n%s", n.name, err, n.tail())
		}
	}
	c.router = newRouter(t, c.nodes())
	listener, err := net.Listen("tcp", callback)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(listener, c.router.Config.Handler) //nolint:errcheck // ends with its listener
	t.Cleanup(func() { listener.Close() })
	c.operator = strings.TrimSpace(c.command("token", "--user", "op", "--role", "operator", "--for", "2h"))
	return c
}

func (c *cluster) nodes() []*node { return append(append([]*node{c.rest}, c.sales...), c.orders...) }

// command runs a subcommand with the cluster's keys.
func (c *cluster) command(args ...string) string {
	c.t.Helper()
	b, err := bin()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(b, args...)
	cmd.Env = append(os.Environ(), c.rest.env...)
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("penstock %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// admin calls the operators' API.
func (c *cluster) admin(method, path string, body any) (int, []byte) {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://"+c.rest.addr().Admin+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.operator)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", method, path, err, c.rest.tail())
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, out
}

// offer puts a sale on that has begun and lasts an hour.
func (c *cluster) offer(id string, stock int, window time.Duration) {
	c.t.Helper()
	now := time.Now().UTC()
	code, body := c.admin(http.MethodPost, "/admin/v1/sales", map[string]any{
		"id": id, "title": id, "startsAt": now.Add(-time.Second), "endsAt": now.Add(time.Hour),
		"paymentWindowSeconds": int(window.Seconds()), "graceSeconds": 5,
		"items": []map[string]any{{"sku": "sku-1", "title": "one", "price": 199, "currency": "EUR", "stock": stock, "limitPerUser": 1}},
	})
	if code != http.StatusCreated && code != http.StatusOK {
		c.t.Fatalf("create the sale: %d %s", code, body)
	}
}

// stampede runs a storm to its verdict; trouble runs beside it.
func (c *cluster) stampede(cfg storm.Config, trouble func(ctx context.Context)) storm.Report {
	c.t.Helper()
	tokens := strings.Fields(c.command("token", "--user", "buyer", "--for", "2h", "--count", fmt.Sprint(cfg.Users)))
	cfg.URL, cfg.AdminURL, cfg.AdminToken = c.router.URL, "http://"+c.rest.addr().Admin, c.operator
	cfg.Identity = func(n int) (storm.Identity, error) {
		return storm.Identity{User: fmt.Sprintf("buyer-%d", n+1), Token: tokens[n]}, nil
	}
	cfg.Route = shard.First().Route
	ctx, cancel := context.WithTimeout(c.t.Context(), 8*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); trouble(ctx) }()
	rep, err := storm.Run(ctx, cfg)
	<-done
	if err != nil {
		c.t.Fatal(err)
	}
	return rep
}

// judge fails the test on whatever the verdict is made of.
func (c *cluster) judge(rep storm.Report, sold int64) {
	t := c.t
	t.Helper()
	for _, inv := range rep.Invariants {
		if inv.Verdict == "fail" {
			t.Errorf("%s %s: %+v", inv.ID, inv.Name, inv)
		}
	}
	if rep.Verdict != "pass" || rep.Unresolved != 0 {
		t.Errorf("verdict %s, %d unresolved, notes %v", rep.Verdict, rep.Unresolved, rep.Notes)
	}
	if got := rep.Stock.Held + rep.Stock.Sold; got != sold {
		t.Errorf("%d units are held or sold, want exactly %d: %+v", got, sold, rep.Stock)
	}
	t.Logf("measured: seed %d, %d attempts, won %d, refused %d, shed %d, unknown %d; p99 %.0f ms; stock %+v",
		rep.Seed, rep.Attempts, rep.Won, rep.Refused, rep.Shed, rep.Unknown, rep.Latency.P99, rep.Stock)
}
