package shard

import (
	"encoding/json"
	"fmt"

	"penstock/internal/ident"
)

// The layout of map version 1.
const (
	// Databases is the number of databases of map version 1.
	Databases = 8
	// Tables is the number of order tables in each database, in every version.
	Tables = 32
)

// Map says for each virtual slot which database and table hold its orders. It never changes; another placement is another
// version.
type Map struct {
	version   int
	databases int
	slots     [ident.Slots]uint16 // number of the table among all tables: database*Tables + table
}

// First returns map version 1: table number t = slot mod 256, in database t / 32.
func First() *Map {
	m := &Map{version: 1, databases: Databases}
	for s := range m.slots {
		m.slots[s] = uint16(s % (Databases * Tables))
	}
	return m
}

// Version returns the number of the placement, from 1.
func (m *Map) Version() int { return m.version }

// Databases returns how many databases the map places orders in.
func (m *Map) Databases() int { return m.databases }

// Route returns the database (0 … Databases-1) and the table within it (0 … Tables-1) of a virtual slot.
func (m *Map) Route(slot int) (db, table int) {
	t := int(m.slots[slot&(ident.Slots-1)])
	return t / Tables, t % Tables
}

// TableName returns the name of a table: orders_ and its number among all tables, so that a name occurs in one database only.
func TableName(db, table int) string { return fmt.Sprintf("orders_%04d", db*Tables+table) }

// stored is the JSON form: table numbers in the order of slots.
type stored struct {
	Version   int      `json:"version"`
	Databases int      `json:"databases"`
	Tables    int      `json:"tables"`
	Slots     []uint16 `json:"slots"`
}

// MarshalJSON writes {"version","databases","tables","slots":[table number of slot 0, of slot 1, …]}.
func (m *Map) MarshalJSON() ([]byte, error) {
	return json.Marshal(stored{Version: m.version, Databases: m.databases, Tables: Tables, Slots: m.slots[:]})
}

// UnmarshalJSON reads what MarshalJSON writes and refuses a map that leaves a slot without a table.
func (m *Map) UnmarshalJSON(b []byte) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("shard map: %w", err)
	}
	switch {
	case s.Version < 1:
		return fmt.Errorf("shard map: version %d is not a version (from 1)", s.Version)
	case s.Databases < 1 || s.Databases > ident.Slots/Tables:
		return fmt.Errorf("shard map: databases is %d, allowed is 1 to %d", s.Databases, ident.Slots/Tables)
	case s.Tables != Tables:
		return fmt.Errorf("shard map: tables is %d, this release has %d in each database", s.Tables, Tables)
	case len(s.Slots) != ident.Slots:
		return fmt.Errorf("shard map: it has %d slots, not %d", len(s.Slots), ident.Slots)
	}
	for slot, t := range s.Slots {
		if int(t) >= s.Databases*Tables {
			return fmt.Errorf("shard map: slot %d is in table %d, the last one is %d", slot, t, s.Databases*Tables-1)
		}
	}
	m.version, m.databases = s.Version, s.Databases
	copy(m.slots[:], s.Slots)
	return nil
}
