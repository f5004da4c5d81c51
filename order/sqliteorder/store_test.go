package sqliteorder

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/order/shard"
)

// A new directory gets eight databases of thirty-two tables, and opens again.
func TestOpenTwice(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	for range 2 {
		s, err := Open(ctx, dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Map().Databases() != 8 || s.Map().Version() != 1 {
			t.Fatalf("%d databases, map version %d", s.Map().Databases(), s.Map().Version())
		}
		for i := range s.Map().Databases() {
			var n int
			q := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'orders_[0-9]*' AND name BETWEEN ? AND ?"
			if err := s.DB(i).R.QueryRowContext(ctx, q, shard.TableName(i, 0), shard.TableName(i, 31)).Scan(&n); err != nil || n != 32 {
				t.Errorf("database %d has %d of its tables: %v", i, n, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A directory that was written with another map, and files that changed places, are refused by name.
func TestForeignDatabasesAreRefused(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	s, err := Open(ctx, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var other shard.Map
	form, err := json.Marshal(shard.First())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bytes.Replace(form, []byte(`[0,`), []byte(`[5,`), 1), &other); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, dir, Options{Map: &other}); err == nil || !strings.Contains(err.Error(), "orders_") {
		t.Errorf("opened with another map: %v", err)
	}
	a, b := filepath.Join(dir, "orders_0.db"), filepath.Join(dir, "orders_1.db")
	if err := os.Rename(a, a+"x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b, a); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, dir, Options{}); err == nil || !strings.Contains(err.Error(), "orders_0.db") {
		t.Errorf("opened with files that changed places: %v", err)
	}
}
