package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"penstock/check"
)

// What somebody changed by hand in the files that a demo left is seen: a price, a cursor, refunds, the trail and the bytes
// themselves, each by its invariant, and told as one JSON object.
func TestCheckSeesWhatWasChangedByHand(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "data")
	if code, out, errText := shell(t, "demo", "--exit", "--stock", "9", "--buyers", "40", "--rate", "1000", "--seed", "5", "--pay", "1", "--cancel", "0", "--data", whole); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errText)
	}
	for _, c := range []struct {
		name, file, change string // change is SQL; "" writes over the first page
		want               []string
	}{
		{"nothing", "stock.db", "SELECT 1", nil},
		{"a price", "stock.db", "UPDATE journal SET price = price + 1 WHERE seq = (SELECT min(seq) FROM journal WHERE kind = 1)", []string{"I8"}},
		{"an amount", "stock.db", "UPDATE journal SET amount = amount - 1 WHERE seq = (SELECT min(seq) FROM journal WHERE kind = 1)", []string{"I8"}},
		{"a cursor", "bus.db", "UPDATE cursor SET position = position + 1000 WHERE consumer_group = 'orders' AND topic = 'stock'", []string{"I12"}},
		{"money said to be given back", "payments.db", "UPDATE payments SET refunded = 1 WHERE id = (SELECT min(id) FROM payments WHERE state = 'captured')", []string{"I8"}},
		{"the trail", "stock.db", "UPDATE audit SET seq = seq + 1", []string{"I22"}},
		{"the bytes", "orders/orders_3.db", "", []string{"F"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			damage(t, filepath.Join(dir, c.file), c.change)
			code, out, errText := shell(t, "check", "--data", dir, "--json", "-")
			var rep check.Report
			if err := json.Unmarshal([]byte(out), &rep); err != nil || (code == 0) != (c.want == nil) || code > exitFailed {
				t.Fatalf("exit %d, %v\n%s%s", code, err, out, errText)
			}
			if failed := rep.Failed(); !slices.Equal(failed, c.want) {
				t.Errorf("failed: %v, want %v\n%s", failed, c.want, rep.Text())
			}
			if c.change == "" && !strings.Contains(strings.Join(rep.Notes, "\n"), "backup") {
				t.Errorf("no hint: %v", rep.Notes)
			}
		})
	}
}

func damage(t *testing.T, path, change string) {
	t.Helper()
	if change == "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copy(raw, bytes.Repeat([]byte("?"), 4096))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
