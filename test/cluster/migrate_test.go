package cluster

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/storm"
	"penstock/test/cluster/rig"
)

// single is one process with all roles.
type single struct {
	*rig.Cluster
	t *testing.T
}

func newSingle(t *testing.T, binary string, env ...string) single {
	t.Helper()
	return single{rig.New(t, rig.Plan{Binary: binary, Processes: []rig.Process{{Name: "all", Roles: "all"}}, Env: env}), t}
}

func (s single) get(path string) []byte {
	s.t.Helper()
	code, body, err := s.Admin(http.MethodGet, path, nil)
	if err != nil || code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %v %s", path, code, err, body)
	}
	return body
}

// drain waits until no work is in flight.
func (s single) drain() {
	s.t.Helper()
	var body []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if body = s.get("/admin/v1/drained"); bytes.Contains(body, []byte(`"drained":true`)) {
			return
		}
	}
	s.t.Fatalf("not drained: %s", body)
}

// rush sends buyers to the sale; who was there before asks under another key.
func (s single) rush(seed int64, tokens []string) storm.Report {
	s.t.Helper()
	rep, err := s.Stampede(storm.Config{
		Sale: "flash", Rate: 400, Seed: seed, Pay: 0.7, Retry: 1, Double: 0.1, Linger: 3 * time.Second, Think: 50 * time.Millisecond,
	}, tokens, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return rep
}

// A sale that began on the embedded engines goes on and sells out on MySQL, after its directory was moved: the ledger so far is
// the same byte for byte, whoever had an order has it, and the old directory does not sell again.
func TestSaleMovesToMySQL(t *testing.T) {
	binary, database, dir := rig.Binary(t), engines.MariaDB(t).Database(t), t.TempDir()
	keys := "PENSTOCK_KEYS_FILE=" + filepath.Join(dir, "keys.json")
	before := newSingle(t, binary, keys)
	if err := before.Offer("flash", 500, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	tokens := before.Tokens(800)
	for _, line := range rig.Broken(before.rush(1, tokens[:200]), 200) {
		t.Error("before the move: " + line)
	}
	before.drain()
	names := []string{"stock-ledger", "claims", "orders", "order-events", "payments", "audit"}
	had := map[string][]byte{}
	for _, name := range names {
		had[name] = before.get("/admin/v1/export/" + name)
	}
	before.Nodes[0].Kill()

	old := before.Nodes[0].Dir()
	target := []string{keys, "PENSTOCK_STOCK=" + database}
	wrong := exec.Command(binary, "migrate", "--from", old, "--stock", "mysql://root@127.0.0.1:1/x")
	wrong.Env = append(os.Environ(), keys)
	if out, err := wrong.CombinedOutput(); err == nil {
		t.Errorf("a move to nowhere succeeded: %s", out)
	}
	if _, err := os.Stat(filepath.Join(old, "moved.json")); err == nil {
		t.Error("a move to nowhere has marked the directory")
	}
	cmd := exec.Command(binary, "migrate", "--from", old, "--data", filepath.Join(dir, "migrate"))
	cmd.Env = append(os.Environ(), target...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	if code, said := refused(t, binary, "PENSTOCK_DATA="+old); code == 0 || !strings.Contains(said, "was moved to mysql://") {
		t.Errorf("the old directory was started again: %d %s", code, said)
	}

	after := newSingle(t, binary, target...)
	after.drain()
	for _, name := range names {
		if got := after.get("/admin/v1/export/" + name); !bytes.Equal(got, had[name]) {
			t.Errorf("export %s is not what it was: %d bytes, %d before", name, len(got), len(had[name]))
		}
	}
	for _, line := range rig.Broken(after.rush(2, tokens), 500) {
		t.Error("after the move: " + line)
	}
	if got := after.get("/admin/v1/export/stock-ledger"); !bytes.HasPrefix(got, had["stock-ledger"]) {
		t.Error("the ledger does not go on from where it was")
	}
}
