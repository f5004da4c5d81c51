package app_test

import (
	"net/http"
	"testing"
	"time"

	"penstock/config"
	"penstock/engine/mysql"
	"penstock/internal/engines"
)

// With semi-synchronous replication, and the replica lost in the middle of a sale, the server holds commits longer than anybody waits
// for a reply: no attempt hears a false no, its key settles it once, and the sale goes on without and again with the replica.
func TestSemiSyncReplicaLost(t *testing.T) {
	t.Parallel()
	primary := engines.MariaDB(t, "--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-timeout=7000")
	replica := engines.MariaDBReplica(t, primary, "--rpl-semi-sync-slave-enabled=1")
	url := primary.Database(t)
	cfg, err := mysql.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(t.Context(), cfg, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	waits := func(want bool) func() bool {
		return func() bool {
			on, err := mysql.SemiSync(t.Context(), db)
			return err == nil && on == want
		}
	}
	h := start(t, t.TempDir(), func(c *config.Config) { c.Stock, c.Timeouts.Attempt = url, time.Second })
	h.until("commits wait for the replica", waits(true))
	now := time.Now().UTC()
	h.want(201, "admin", h.operator, "POST", "/admin/v1/sales", "", map[string]any{
		"id": "flash", "title": "T", "startsAt": now.Add(-time.Hour), "endsAt": now.Add(time.Hour),
		"items": []map[string]any{{"sku": "tea", "title": "Tea", "price": 990, "currency": "CNY", "stock": 9, "limitPerUser": 1}},
	})
	attempt := func(user string) (int, map[string]any) {
		return h.call("public", h.token(user, ""), "POST", "/v1/sales/flash/attempts", user, map[string]any{"sku": "tea", "quantity": 1})
	}
	settles := func(user string) {
		t.Helper()
		h.until(user+" wins", func() bool {
			status, out := attempt(user)
			switch status {
			case http.StatusCreated, http.StatusOK:
				return true
			case http.StatusAccepted, http.StatusServiceUnavailable, http.StatusTooManyRequests: // not yet known, or not now
				return false
			}
			t.Fatalf("%s heard %d %v", user, status, out)
			return false
		})
	}
	settles("ann")
	replica.Kill(t)
	for _, user := range []string{"bob", "cid", "dan"} {
		settles(user)
	}
	h.until("commits wait for nobody", waits(false))
	replica.Start(t)
	h.until("commits wait for the replica again", waits(true))
	settles("eve")
}
