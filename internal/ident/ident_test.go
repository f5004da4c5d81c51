package ident

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Ids never repeat and their time never goes back, whatever the clock does.
func TestIdsAreUniqueAndTimeOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewGenerator(rapid.IntRange(0, MaxNode).Draw(t, "node"), 0)
		now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
		seen := map[ID]bool{}
		last := time.Time{}
		for range rapid.IntRange(1, 600).Draw(t, "n") {
			now = now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "step")) * time.Millisecond)
			slot := rapid.IntRange(0, 1).Draw(t, "slot")
			id := g.Next(now, slot)
			if seen[id] || id <= 0 || id.Slot() != slot || id.Time().Before(last) {
				t.Fatalf("id %d (slot %d, time %v) after time %v: repeated=%v", id, id.Slot(), id.Time(), last, seen[id])
			}
			seen[id], last = true, id.Time()
		}
	})
}

// A clock that stands or stepped back does not put ever more ids into one millisecond: whoever looks for an id by its time
// would have to look at all of them.
func TestFewIdsShareAMillisecond(t *testing.T) {
	now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	g := NewGenerator(1, 0)
	g.Next(now.Add(time.Hour), 0)
	share := map[time.Time]int{}
	for n := range 100_000 {
		share[g.Next(now, n*7).Time()]++
	}
	for at, n := range share {
		if n > 1024 {
			t.Fatalf("%d ids share %v", n, at)
		}
	}
}

// A generator that resumes after an id makes only later ones.
func TestResumeIsLater(t *testing.T) {
	now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	g := NewGenerator(1, 0)
	for range 1000 {
		g.Next(now, 5)
	}
	high := g.Next(now, 5)
	if next := NewGenerator(1, high).Next(now, 5); next <= high {
		t.Fatalf("resumed generator made %d, not later than %d", next, high)
	}
}

// A generator that changes its node goes on after its own ids and after those of whoever had the number before.
func TestUseIsLater(t *testing.T) {
	now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	g := NewGenerator(1, 0)
	mine := g.Next(now, 5)
	g.Use(2, 0)
	if next := g.Next(now, 5); next <= mine || next.Node() != 2 {
		t.Errorf("after %d of node 1 comes %d of node %d", mine, next, next.Node())
	}
	theirs := NewGenerator(3, 0).Next(now.Add(time.Hour), 900)
	g.Use(3, theirs)
	if next := g.Next(now, 5); next <= theirs || next.Node() != 3 {
		t.Errorf("after %d of the former node 3 comes %d of node %d", theirs, next, next.Node())
	}
}

// Only the canonical decimal form of a positive id parses.
func TestParseRefusesOtherForms(t *testing.T) {
	for _, bad := range []string{"", "0", "-1", "+1", "01", "1e3", "9223372036854775808", " 1", "１"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) succeeded", bad)
		}
	}
	if id, err := Parse("9223372036854775807"); err != nil || id.String() != "9223372036854775807" {
		t.Errorf("the highest id did not survive: %v %v", id, err)
	}
}
