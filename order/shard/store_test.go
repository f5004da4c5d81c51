package shard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/internal/ident"
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
		if s.Len() != 8 || s.Map().Version() != 1 {
			t.Fatalf("%d databases, map version %d", s.Len(), s.Map().Version())
		}
		for i := range s.Len() {
			var n int
			q := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'orders_[0-9]*' AND name BETWEEN ? AND ?"
			if err := s.DB(i).R.QueryRowContext(ctx, q, TableName(i, 0), TableName(i, 31)).Scan(&n); err != nil || n != 32 {
				t.Errorf("database %d has %d of its tables: %v", i, n, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An order's id leads to the place of its user.
func TestIdFindsThePlaceOfItsUser(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := ident.NewGenerator(3, 0)
	for _, u := range []string{"alice", "bob", "carol"} {
		slot := ident.SlotOf(u)
		wantDB, wantTable := s.Map().Route(slot)
		if db, table := s.Route(g.Next(ident.ID(1<<40).Time(), slot)); db != wantDB || table != wantTable {
			t.Errorf("an order of %s is in %d/%d, the user in %d/%d", u, db, table, wantDB, wantTable)
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
	other := First()
	other.slots[0] = 5
	if _, err := Open(ctx, dir, Options{Map: other}); err == nil || !strings.Contains(err.Error(), "orders_") {
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
