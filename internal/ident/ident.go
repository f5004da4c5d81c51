// Package ident makes and reads the 63-bit ids of attempts, orders and payments.
//
// Layout, high bit first: 41 bits milliseconds since 2024-01-01T00:00:00Z, 10 bits virtual slot, 12 bits node and sequence
// (5 bits node, 7 bits sequence). The slot is a hash of the user, so an id alone finds its shard (order/shard maps slots to
// databases and tables). In JSON and in logs an id is a decimal string.
package ident

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Slots is the number of virtual slots.
const Slots = 1 << slotBits

const (
	slotBits = 10
	nodeBits = 5
	seqBits  = 7
	// perMS is how many ids share a millisecond at most, so that readers who look for an id by its time find few.
	perMS   = 1024
	epochMS = 1704067200000 // 2024-01-01T00:00:00Z
	// MaxNode is the highest node number.
	MaxNode = 1<<nodeBits - 1
)

// ID is a 63-bit id. The zero ID is no id.
type ID int64

// String returns the decimal form that clients see.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// Parse reads the decimal form. It refuses signs, leading zeros, zero and anything over 63 bits.
func Parse(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not an id (a positive decimal number of at most 63 bits)", s)
	}
	return ID(n), nil
}

// Slot returns the virtual slot of the id, 0 … Slots-1.
func (id ID) Slot() int { return int(id>>(nodeBits+seqBits)) & (Slots - 1) }

// Node returns the number of the node that made the id, 0 … MaxNode.
func (id ID) Node() int { return int(id>>seqBits) & MaxNode }

// Time returns the time at which the id was made, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(id>>(slotBits+nodeBits+seqBits)) + epochMS).UTC()
}

// First returns the least id that can be made at a time.
func First(t time.Time) ID {
	return ID(max(t.UnixMilli()-epochMS, 0) << (slotBits + nodeBits + seqBits))
}

// SlotOf returns the virtual slot of a user: the low ten bits of xxHash64 over the bytes of the user's id.
func SlotOf(user string) int { return int(xxhash.Sum64String(user) & (Slots - 1)) }

// Generator makes ids for one node. Ids of one generator never repeat and their time part never decreases. It never waits:
// when the clock stands still or steps back, and a slot's 128 or all slots' 1024 ids of a millisecond are used up, it borrows
// from the next millisecond. Safe for concurrent use.
type Generator struct {
	mu   sync.Mutex
	node int64
	last int64
	made int           // ids made in the millisecond last
	used [Slots]uint16 // ids used in the millisecond gen[slot]
	gen  [Slots]int64
}

// NewGenerator returns a generator for a node, 0 … MaxNode, that will only make ids later than after (pass the highest id
// known from before a restart, or zero).
func NewGenerator(node int, after ID) *Generator {
	g := &Generator{}
	g.Use(node, after)
	return g
}

// Use makes the following ids under a node's number, later than after and later than all before. A node that got its number
// anew passes the highest id that there was when it got it.
func (g *Generator) Use(node int, after ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.node = int64(node & MaxNode)
	if next := int64(after>>(slotBits+nodeBits+seqBits)) + 1; after > 0 && next > g.last {
		g.last, g.made = next, 0
	}
}

// Next returns a new id at the given time for the given slot.
func (g *Generator) Next(now time.Time, slot int) ID {
	slot &= Slots - 1
	ms := now.UnixMilli() - epochMS
	g.mu.Lock()
	defer g.mu.Unlock()
	if ms < g.last {
		ms = g.last
	}
	if ms == g.last && g.made == perMS || g.gen[slot] == ms && g.used[slot] == 1<<seqBits {
		ms++
	}
	if ms != g.last {
		g.last, g.made = ms, 0
	}
	g.made++
	if g.gen[slot] != ms {
		g.gen[slot], g.used[slot] = ms, 0
	}
	seq := int64(g.used[slot])
	g.used[slot]++
	return ID(ms<<(slotBits+nodeBits+seqBits) | int64(slot)<<(nodeBits+seqBits) | g.node<<seqBits | seq)
}
