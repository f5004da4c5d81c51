package shard

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/internal/ident"
)

func ring(t *testing.T, n int) *Ring {
	t.Helper()
	r, err := NewRing(n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// id makes the id of an order the way the strategy wants it.
func id(t *testing.T, s Strategy, k Key, at time.Time) ident.ID {
	t.Helper()
	slot, err := s.Slot(k)
	if err != nil {
		t.Fatal(err)
	}
	return ident.NewGenerator(1, 0).Next(at, slot)
}

var autumn = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// Where orders go under each strategy never changes from release to release.
func TestGoldenStrategies(t *testing.T) {
	t.Parallel()
	regions := ByRegion{Regions: []string{"cn", "eu", "us"}}
	got := map[string]string{}
	for _, u := range []string{"alice", "bob", "u-1", "用户"} {
		k := Key{User: u, Region: regions.Regions[len(u)%3]}
		for name, s := range map[string]Strategy{"mod": HashMod{8}, "month": ByMonth{8}, "ring": ring(t, 8), "region": regions} {
			got[name] += fmt.Sprint(s.Database(id(t, s, k, autumn)))
		}
	}
	if d := cmp.Diff(goldenStrategies, got); d != "" {
		t.Error(d)
	}
	for at, want := range map[time.Time]int{autumn: 83, time.Date(2024, 1, 31, 23, 59, 59, 0, time.UTC): 49, time.Date(2024, 12, 1, 0, 0, 0, 0, time.UTC): 60} {
		if m := MonthOf(id(t, ByMonth{8}, Key{}, at)); m != want {
			t.Errorf("%v is month %d, not %d", at, m, want)
		}
	}
}

// The strategies by hash spread users within 15 % of even, over databases and over all tables of their maps' databases.
func TestHashStrategiesSpreadEvenly(t *testing.T) {
	t.Parallel()
	const users = 400_000
	for _, n := range []int{2, 3, 5, 8, 9, 12} {
		for name, s := range map[string]Strategy{"mod": HashMod{n}, "ring": ring(t, n)} {
			m, err := MapOf(2, s)
			if err != nil {
				t.Fatal(err)
			}
			count, used := make([]int, n), map[int]bool{}
			for i := range users {
				slot := ident.SlotOf(fmt.Sprintf("buyer-%07d", i))
				db, table := m.Route(slot)
				if want := s.Database(ident.ID(slot) << 12); db != want {
					t.Fatalf("%s of %d: slot %d is in database %d by its map, %d by its strategy", name, n, slot, db, want)
				}
				count[db]++
				used[db*Tables+table] = true
			}
			for db, c := range count {
				if even := users / n; c < even*85/100 || c > even*115/100 {
					t.Errorf("%s of %d: database %d has %d users, even would be %d", name, n, db, c, even)
				}
			}
			if len(used) != n*Tables {
				t.Errorf("%s of %d: %d of %d tables are used", name, n, len(used), n*Tables)
			}
		}
	}
}

// A ring that grows by one database of n moves about 1/(n+1) of the slots, a ninth of eight at most 15 %; modulo moves nearly
// everything.
func TestRingMovesLittle(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 16; n++ {
		before, after := ring(t, n), ring(t, n+1)
		moved, mod := 0, 0
		for slot := range ident.Slots {
			if before.slots[slot] != after.slots[slot] {
				moved++
			}
			if slot%n != slot%(n+1) {
				mod++
			}
		}
		share := float64(moved) / ident.Slots
		t.Logf("%d to %d databases: the ring moves %.1f %%, 1/(n+1) is %.1f %%, modulo moves %.1f %%", n, n+1, 100*share, 100/float64(n+1), 100*float64(mod)/ident.Slots)
		if even := 1 / float64(n+1); share > 1.6*even || share < 0.8*even || n == 8 && share > 0.15 {
			t.Errorf("%d to %d databases moves %.1f %%", n, n+1, 100*share)
		}
	}
}

// A region's orders stay in its database, and a region without one is refused by name.
func TestRegions(t *testing.T) {
	t.Parallel()
	s := ByRegion{Regions: []string{"cn", "eu", "us", "br", "za"}}
	for i := range 5000 {
		k := Key{User: fmt.Sprint("u", i), Region: s.Regions[i%5]}
		if db := s.Database(id(t, s, k, autumn)); db != i%5 {
			t.Fatalf("an order from %s is in database %d", k.Region, db)
		}
	}
	if _, err := s.Slot(Key{User: "u", Region: "mars"}); err == nil {
		t.Error("mars has a database")
	}
	if _, err := MapOf(2, s); err != nil {
		t.Error(err)
	}
	if _, err := MapOf(2, ByMonth{8}); err == nil {
		t.Error("months have a map")
	}
}
