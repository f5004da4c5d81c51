package cluster

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/order/shard"
	"penstock/storm"
)

// single is one process with all roles.
type single struct {
	*cluster
	n *node
}

func newSingle(t *testing.T, n *node) single {
	n.start(t)
	c := &cluster{t: t, rest: n}
	c.operator = strings.TrimSpace(c.command("token", "--user", "op", "--role", "operator", "--for", "2h"))
	return single{c, n}
}

func (s single) export(name string) []byte {
	s.t.Helper()
	code, body := s.admin(http.MethodGet, "/admin/v1/export/"+name, nil)
	if code != http.StatusOK {
		s.t.Fatalf("export %s: %d %s", name, code, body)
	}
	return body
}

// drain waits until no work is in flight.
func (s single) drain() {
	s.t.Helper()
	var body []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var code int
		if code, body = s.admin(http.MethodGet, "/admin/v1/drained", nil); code == http.StatusOK && bytes.Contains(body, []byte(`"drained":true`)) {
			return
		}
	}
	s.t.Fatalf("not drained: %s", body)
}

// storm sends users to the one process. Users numbered from first on have not been there before.
func (s single) storm(users int, seed int64) storm.Report {
	s.t.Helper()
	tokens := strings.Fields(s.command("token", "--user", "buyer-"+string(rune('a'+seed)), "--for", "2h", "--count", "400"))
	rep, err := storm.Run(s.t.Context(), storm.Config{
		URL: "http://" + s.n.addr().Public, AdminURL: "http://" + s.n.addr().Admin, AdminToken: s.operator, Sale: "flash",
		Users: users, Rate: 400, Seed: seed, Pay: 0.7, Cancel: 0.1, Retry: 1, Double: 0.1, Linger: 3 * time.Second, Think: 50 * time.Millisecond,
		Route: shard.First().Route,
		Identity: func(n int) (storm.Identity, error) {
			return storm.Identity{User: "buyer", Token: tokens[n]}, nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rep
}

// A sale that began on the embedded engines goes on and sells out on MySQL, after its directory was moved: the ledger so far is
// the same byte for byte, whoever had an order has it, and the old directory does not sell again.
func TestSaleMovesToMySQL(t *testing.T) {
	database := engines.MariaDB(t).Database(t)
	off := []string{"PENSTOCK_LIMITS_IP=off", "PENSTOCK_LIMITS_USER=off", "PENSTOCK_LIMITS_ATTEMPT=off", "PENSTOCK_PAYMENT_SECRET=" + secret}
	old := newNode(t, "embedded", "all", off)
	before := newSingle(t, old)
	before.offer("flash", 500, 10*time.Minute)
	if rep := before.storm(200, 1); rep.Verdict != "pass" {
		t.Fatalf("before the move: %+v", rep.Invariants)
	}
	before.drain()
	names := []string{"stock-ledger", "claims", "orders", "order-events", "payments"}
	had := map[string][]byte{}
	for _, name := range names {
		had[name] = before.export(name)
	}
	old.kill()

	moved := newNode(t, "mysql", "all", append(off, "PENSTOCK_STOCK="+database, "PENSTOCK_KEYS_FILE="+old.dir+"/keys.json"))
	b, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b, "migrate", "--from", old.dir)
	cmd.Env = append(os.Environ(), moved.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	old.launch(t)
	<-old.ended()
	if !strings.Contains(old.tail(), "was moved to mysql://") {
		t.Errorf("the old directory was started again: %s", old.tail())
	}

	after := newSingle(t, moved)
	after.drain()
	for _, name := range names {
		if got := after.export(name); !bytes.Equal(got, had[name]) {
			t.Errorf("export %s is not what it was: %d bytes, %d before", name, len(got), len(had[name]))
		}
	}
	rep := after.storm(400, 2)
	if rep.Verdict != "pass" || rep.Stock.Available != 0 || rep.Stock.Held+rep.Stock.Sold != 500 {
		t.Errorf("after the move: %s, stock %+v, %+v", rep.Verdict, rep.Stock, rep.Invariants)
	}
	if got := after.export("stock-ledger"); !bytes.HasPrefix(got, had["stock-ledger"]) {
		t.Error("the ledger does not go on from where it was")
	}
}
