package app_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
)

// Lines move with who stands where: an entry keeps its place and its state, whoever has a pass buys with it, and the next in line comes
// next. While a message of the payments has not reached its readers nothing moves, and nothing is marked.
func TestLinesMoveAndMessagesWait(t *testing.T) {
	t.Parallel()
	database, old, fresh := engines.MariaDB(t).Database(t), t.TempDir(), t.TempDir()
	h := start(t, old, func(*config.Config) {})
	h.lineSale("queue", 2)
	pass := h.admitted("queue", "first")
	entries := map[string]map[string]any{}
	for i := range 4 {
		user := fmt.Sprint("late", i)
		entry := h.want(201, "public", h.token(user, ""), "POST", "/v1/sales/queue/line", "", map[string]any{})["entry"].(string)
		entries[user] = map[string]any{"entry": entry}
	}
	places := func(h *house) map[string]any {
		found := map[string]any{}
		for user, e := range entries {
			got := h.want(200, "public", h.token(user, ""), "GET", "/v1/sales/queue/line/"+e["entry"].(string), "", nil)
			found[user] = fmt.Sprint(got["entry"], got["position"] != nil || got["pass"] != nil)
		}
		return found
	}
	had := places(h)
	ctx := context.Background()
	if err := h.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Stock, cfg.Keys.File = fresh, database, filepath.Join(old, "keys.json")
	move := func() error {
		return app.Migrate(ctx, old, cfg, app.Options{Log: io.Discard}, func(string, uint64, uint64) {})
	}
	execSQL(t, filepath.Join(old, "payments.db"), `INSERT INTO message_outbox (topic, message_id, user, message_key, type, payload, headers, at)
		VALUES ('payments','m1','first','1','payment.captured','{}','{}',1)`)
	if err := move(); err == nil || !strings.Contains(err.Error(), "1 in payments/payments") || !strings.Contains(err.Error(), "/admin/v1/drained") {
		t.Fatalf("with a message that waits: %v", err)
	}
	execSQL(t, filepath.Join(old, "payments.db"), `DELETE FROM message_outbox WHERE message_id='m1'`)
	if err := move(); err != nil {
		t.Fatal(err)
	}
	after := start(t, fresh, func(c *config.Config) {
		*c = cfg
		c.Listen, c.Limits.IP = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}, config.Rate{}
	})
	if got := places(after); fmt.Sprint(got) != fmt.Sprint(had) {
		t.Errorf("places after the move: %v, before: %v", got, had)
	}
	status, out := after.call("public", pass, "POST", "/v1/sales/queue/attempts", "k1", map[string]any{"sku": "tea", "quantity": 1})
	if status != http.StatusCreated {
		t.Errorf("with the pass after the move: %d %v", status, out)
	}
}

func execSQL(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err = db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
