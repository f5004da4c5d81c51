package shard

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"penstock/internal/ident"
)

// Key is what is known of an order before it has an id.
type Key struct {
	User string
	// Region is where the user is at home; only [ByRegion] looks at it.
	Region string
}

// Strategy is a way to deal orders over databases. The id of an order is made with a slot that the strategy chooses; from then
// on the id alone finds the database.
type Strategy interface {
	// Databases is over how many the orders are dealt.
	Databases() int
	// Slot is what the id of an order is made with, 0 … ident.Slots-1. An error names what of the key has no place.
	Slot(k Key) (int, error)
	// Database finds the database of an order by its id, 0 … Databases-1.
	Database(id ident.ID) int
}

// HashMod is the slot, a hash of the user, modulo the number of databases: the most even, but another number of databases moves
// nearly everything.
type HashMod struct{ N int }

// Databases implements [Strategy].
func (s HashMod) Databases() int { return s.N }

// Slot implements [Strategy].
func (s HashMod) Slot(k Key) (int, error) { return ident.SlotOf(k.User), nil }

// Database implements [Strategy].
func (s HashMod) Database(id ident.ID) int { return id.Slot() % s.N }

// ByMonth is the month in which the order was made, (year-2020)*12+month, modulo the number of databases: old months stay where
// they are and can be put away whole, but all of today's orders go to one database, and a user's are in many.
type ByMonth struct{ N int }

// Databases implements [Strategy].
func (s ByMonth) Databases() int { return s.N }

// Slot implements [Strategy].
func (s ByMonth) Slot(k Key) (int, error) { return ident.SlotOf(k.User), nil }

// Database implements [Strategy]. The time is in the id.
func (s ByMonth) Database(id ident.ID) int { return MonthOf(id) % s.N }

// MonthOf numbers the month (UTC) of an order: 1 is January 2020.
func MonthOf(id ident.ID) int {
	at := id.Time()
	return (at.Year()-2020)*12 + int(at.Month())
}

// VirtualNodes is how many points each database has on a [Ring].
const VirtualNodes = 150

// ringName begins the names of the points. It was chosen among hundreds so that no share of 2 to 17 databases is more than 14 %
// below even; changing it moves orders.
const ringName = "db34-"

// Ring is consistent hashing: each database has [VirtualNodes] points on a circle, and a slot belongs to the next point after its
// own that has room, which is a twentieth more than an even share. Another database takes about its share of the slots and the
// others keep the rest.
type Ring struct {
	n     int
	slots [ident.Slots]uint16
}

// NewRing deals the slots over n databases, 1 … ident.Slots/Tables.
func NewRing(n int) (*Ring, error) {
	if n < 1 || n > ident.Slots/Tables {
		return nil, fmt.Errorf("shard: a ring of %d databases; 1 to %d are possible", n, ident.Slots/Tables)
	}
	type point struct {
		at uint64
		db uint16
	}
	var circle []point
	for db := range n {
		for v := range VirtualNodes {
			circle = append(circle, point{xxhash.Sum64String(ringName + strconv.Itoa(db) + "#" + strconv.Itoa(v)), uint16(db)})
		}
	}
	slices.SortFunc(circle, func(a, b point) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	r := &Ring{n: n}
	room := make([]int, n)
	for db := range room {
		room[db] = ident.Slots*105/(100*n) + 1
	}
	for slot := range r.slots {
		at := xxhash.Sum64String("slot-" + strconv.Itoa(slot))
		i, _ := slices.BinarySearchFunc(circle, at, func(p point, at uint64) int {
			if p.at < at {
				return -1
			}
			return 1
		})
		for room[circle[i%len(circle)].db] == 0 {
			i++
		}
		db := circle[i%len(circle)].db
		r.slots[slot] = db
		room[db]--
	}
	return r, nil
}

// Databases implements [Strategy].
func (r *Ring) Databases() int { return r.n }

// Slot implements [Strategy].
func (r *Ring) Slot(k Key) (int, error) { return ident.SlotOf(k.User), nil }

// Database implements [Strategy].
func (r *Ring) Database(id ident.ID) int { return int(r.slots[id.Slot()]) }

// ByRegion keeps the orders of a region in its own database, for law or for nearness. Each region owns a range of slots, so that
// the id carries the region. Adding a region, or a user who moves, changes the slots of new orders only where the ranges stay:
// decide on the regions before the first order.
type ByRegion struct {
	// Regions are the names of the regions; the n-th is database n. At most ident.Slots/Tables.
	Regions []string
}

// Databases implements [Strategy].
func (s ByRegion) Databases() int { return len(s.Regions) }

// Slot implements [Strategy]: a user's place in the range of his region.
func (s ByRegion) Slot(k Key) (int, error) {
	i := slices.Index(s.Regions, k.Region)
	if i < 0 {
		return 0, fmt.Errorf("shard: region %q has no database; there are %q", k.Region, s.Regions)
	}
	first, next := s.start(i), s.start(i+1)
	return first + ident.SlotOf(k.User)%(next-first), nil
}

// Database implements [Strategy].
func (s ByRegion) Database(id ident.ID) int {
	for i := range s.Regions {
		if id.Slot() < s.start(i+1) {
			return i
		}
	}
	return len(s.Regions) - 1
}

// start is the first slot of a region.
func (s ByRegion) start(i int) int { return i * ident.Slots / len(s.Regions) }

// MapOf makes the map of a strategy that is a function of the slot: the k-th slot of a database lives in table k mod Tables.
// ByMonth is refused, because a slot has no month.
func MapOf(version int, s Strategy) (*Map, error) {
	if _, month := s.(ByMonth); month {
		return nil, fmt.Errorf("shard: orders by month have no map of slots: a slot has orders of every month")
	}
	if n := s.Databases(); version < 1 || n < 1 || n > ident.Slots/Tables {
		return nil, fmt.Errorf("shard: map version %d of %d databases; versions begin at 1, databases are 1 to %d", version, n, ident.Slots/Tables)
	}
	m := &Map{version: version, databases: s.Databases()}
	seen := make([]int, m.databases)
	for slot := range m.slots {
		db := s.Database(ident.ID(1)<<40&^(ident.ID(ident.Slots-1)<<12) | ident.ID(slot)<<12)
		m.slots[slot] = uint16(db*Tables + seen[db]%Tables)
		seen[db]++
	}
	return m, nil
}
