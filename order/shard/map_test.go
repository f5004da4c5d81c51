package shard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock/internal/ident"
)

// Users spread over the 256 tables within 15 % of even.
func TestUsersSpreadEvenly(t *testing.T) {
	t.Parallel()
	const users, tables = 512 << 10, Databases * Tables
	m := First()
	for _, form := range []string{"u%d", "buyer-%08d", "%d@example.com"} {
		var count [tables]int
		for i := range users {
			db, table := m.Route(ident.SlotOf(fmt.Sprintf(form, i)))
			count[db*Tables+table]++
		}
		for n, c := range count {
			if mean := users / tables; c < mean*85/100 || c > mean*115/100 {
				t.Errorf("users of the form %q: table %d has %d, even would be %d", form, n, c, mean)
			}
		}
	}
}

// Where a user's orders live never changes from release to release.
func TestGoldenRoutes(t *testing.T) {
	t.Parallel()
	m := First()
	got := map[string]string{}
	for _, u := range []string{"alice", "bob", "u-1", "u-1000000", "用户", "buyer@example.com"} {
		db, table := m.Route(ident.SlotOf(u))
		got[u] = fmt.Sprintf("orders_%d.db %s", db, TableName(db, table))
	}
	if d := cmp.Diff(golden, got); d != "" {
		t.Error(d)
	}
	for slot := range ident.Slots {
		if db, table := m.Route(slot); db != slot%256/32 || table != slot%32 {
			t.Fatalf("slot %d is in database %d table %d", slot, db, table)
		}
	}
}

// A map survives its JSON form, and a form that leaves a slot without a table is refused.
func TestMapForm(t *testing.T) {
	t.Parallel()
	m := First()
	m.version, m.databases, m.slots[7] = 2, 9, 8*Tables+3
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Map
	if err := json.Unmarshal(b, &back); err != nil || back != *m {
		t.Fatalf("read back: %v, equal %v", err, back == *m)
	}
	if db, table := back.Route(7); db != 8 || table != 3 || back.Version() != 2 {
		t.Errorf("slot 7 of version %d is in database %d table %d", back.Version(), db, table)
	}
	for _, change := range [][2]string{
		{`"version":2`, `"version":0`}, {`"databases":9`, `"databases":8`}, {`"databases":9`, `"databases":33`},
		{`"tables":32`, `"tables":16`}, {`[0,`, `[`}, {`[0,`, `[-1,`},
	} {
		bad := strings.Replace(string(b), change[0], change[1], 1)
		if err := json.Unmarshal([]byte(bad), new(Map)); err == nil {
			t.Errorf("a map with %s was accepted", change[1])
		}
	}
}

// An order's id leads to the place of its user.
func TestIdFindsThePlaceOfItsUser(t *testing.T) {
	t.Parallel()
	m, g := First(), ident.NewGenerator(3, 0)
	for _, u := range []string{"alice", "bob", "carol"} {
		slot := ident.SlotOf(u)
		wantDB, wantTable := m.Route(slot)
		if db, table := m.Route(g.Next(ident.ID(1<<40).Time(), slot).Slot()); db != wantDB || table != wantTable {
			t.Errorf("an order of %s is in %d/%d, the user in %d/%d", u, db, table, wantDB, wantTable)
		}
	}
}
