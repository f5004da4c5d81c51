package gate_test

import (
	"context"
	"testing"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// restored is a database as it is after a restore: it answers every snapshot with what it was given.
type restored struct{ snap driver.Snapshot }

func (r *restored) Snapshot(context.Context) (*driver.Snapshot, error) { return &r.snap, nil }

// A database that lost commits is followed after two snapshots; one snapshot, which may have been begun before a commit, changes
// nothing.
func TestGateFollowsADatabaseThatLostCommits(t *testing.T) {
	t.Parallel()
	m := gate.New(0)
	sale := driver.Sale{ID: "s", Version: 9, SoldOut: true}
	m.Observe(stock.Committed{Stock: []driver.Stock{{Sale: "s", SKU: "a", Offered: 5, Sold: 5, Version: 100}}, Sales: []driver.Sale{sale}})
	sale.Version, sale.SoldOut = 3, false
	db := &restored{driver.Snapshot{
		Stock: []driver.Stock{{Sale: "s", SKU: "a", Offered: 5, Available: 2, Sold: 3, Version: 90}}, Sales: []driver.Sale{sale},
	}}
	sync := gate.NewResync(m, db, gate.ResyncOptions{})
	for round, want := range []int64{100, 90, 90} {
		if _, err := sync.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.Level("s", "a").Version; got != want {
			t.Errorf("after snapshot %d memory has version %d, want %d", round+1, got, want)
		}
	}
	if m.Sale("s").Version != 3 || m.Sale("s").SoldOut {
		t.Errorf("the sale is still the one that was lost: %+v", m.Sale("s"))
	}
	m.Observe(stock.Committed{Stock: []driver.Stock{{Sale: "s", SKU: "a", Offered: 5, Available: 1, Sold: 4, Version: 91}}})
	if got := m.Level("s", "a").Version; got != 91 {
		t.Errorf("a commit after the restore is not followed: version %d", got)
	}
}

// A database whose every snapshot was begun before the last commits has lost nothing: each has what memory had at the one before.
func TestGateKeepsWhatASnapshotIsTooEarlyFor(t *testing.T) {
	t.Parallel()
	m := gate.New(0)
	row := func(version int64) driver.Stock {
		return driver.Stock{Sale: "s", SKU: "a", Offered: 100, Available: 100 - version, Held: version, Version: version}
	}
	doc := func(version int64) driver.Sale { return driver.Sale{ID: "s", Version: version} }
	db := &restored{}
	sync := gate.NewResync(m, db, gate.ResyncOptions{})
	for version := int64(10); version < 60; version += 10 {
		db.snap = driver.Snapshot{Stock: []driver.Stock{row(version)}, Sales: []driver.Sale{doc(version)}}
		m.Observe(stock.Committed{Stock: []driver.Stock{row(version + 10)}, Sales: []driver.Sale{doc(version + 10)}})
		if _, err := sync.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, sale := m.Level("s", "a").Version, m.Sale("s").Version; got != version+10 || sale != version+10 {
			t.Errorf("after a snapshot of version %d memory has %d and the sale %d, want %d", version, got, sale, version+10)
		}
	}
	db.snap.Stock[0].Version = 59
	for range 2 {
		if _, err := sync.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Level("s", "a").Version; got != 59 {
		t.Errorf("the last commit was lost, and memory has version %d", got)
	}
}
