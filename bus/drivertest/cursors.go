package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/bus/driver"
)

// CursorsHarness is one fresh, empty set of cursors under test. What it opened it closes by t.Cleanup.
type CursorsHarness struct {
	Cursors driver.Cursors
	// Expire makes so much time pass that a lease of leaseTerm has run out.
	Expire func()
}

// leaseTerm is the term of the suite's leases: longer than the suite takes.
const leaseTerm = 30 * time.Second

// RunCursors checks cursors against the contract of their port.
func RunCursors(t *testing.T, fresh func(t *testing.T) CursorsHarness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, CursorsHarness)
	}{
		{"a new cursor is free at the earliest message", enrolled},
		{"a source has one holder until its lease runs out", oneHolder},
		{"a holder moves its cursors", moves},
		{"an older epoch writes nothing, and all or nothing is written", fences},
		{"a lease that ran out and was not taken is still good", overdue},
		{"a lease given up is free at once", givenUp},
		{"a member takes its own lease again", takesAgain},
		{"the lowest position counts every group and topic", lowest},
		{"of many members that take at once one gets a source", race},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, fresh(t))
		})
	}
}

func member(owner string) driver.Member {
	return driver.Member{Group: "g", Topic: "topic", Owner: owner}
}

func (h CursorsHarness) enrol(t *testing.T, sources ...string) {
	t.Helper()
	must(t, "enrol", h.Cursors.Enrol(t.Context(), "g", "topic", sources))
}

func (h CursorsHarness) free(t *testing.T, owner string) []string {
	t.Helper()
	free, err := h.Cursors.Free(t.Context(), member(owner))
	must(t, "free", err)
	slices.Sort(free)
	return free
}

func (h CursorsHarness) take(t *testing.T, owner string, sources ...string) map[string]driver.Lease {
	t.Helper()
	taken, err := h.Cursors.Take(t.Context(), member(owner), sources, leaseTerm)
	must(t, "take", err)
	return taken
}

func (h CursorsHarness) write(t *testing.T, owner string, marks ...driver.Mark) {
	t.Helper()
	lost, err := h.Cursors.Write(t.Context(), member(owner), marks, leaseTerm)
	if err != nil || len(lost) > 0 {
		t.Fatalf("write: lost %v, %v", lost, err)
	}
}

func (h CursorsHarness) refused(t *testing.T, owner string, marks ...driver.Mark) []string {
	t.Helper()
	lost, err := h.Cursors.Write(t.Context(), member(owner), marks, leaseTerm)
	if !errors.Is(err, driver.ErrLeaseLost) {
		t.Fatalf("write under a lost lease: %v, %v", lost, err)
	}
	slices.Sort(lost)
	return lost
}

func (h CursorsHarness) at(t *testing.T, source string, want uint64) {
	t.Helper()
	got, err := h.Cursors.Position(t.Context(), "g", "topic", source)
	must(t, "position", err)
	same(t, "position in "+source, got, want)
}

func mark(source string, l driver.Lease, position uint64) driver.Mark {
	return driver.Mark{Source: source, Epoch: l.Epoch, Position: position}
}

func enrolled(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a", "b")
	h.enrol(t, "b", "c")
	same(t, "free sources", h.free(t, "one"), []string{"a", "b", "c"})
	l := h.take(t, "one", "a")["a"]
	same(t, "the first position", l.Position, uint64(0))
	h.write(t, "one", mark("a", l, 7))
	h.enrol(t, "a")
	h.at(t, "a", 7)
	same(t, "what is not enrolled", h.take(t, "one", "nowhere"), map[string]driver.Lease{})
}

func oneHolder(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a", "b")
	h.take(t, "one", "a")
	same(t, "free for another", h.free(t, "two"), []string{"b"})
	if got := h.take(t, "two", "a", "b"); len(got) != 1 || got["b"].Epoch == 0 {
		t.Fatalf("another took %v", got)
	}
	h.Expire()
	same(t, "free after the lease", h.free(t, "two"), []string{"a", "b"})
	if got := h.take(t, "two", "a"); len(got) != 1 {
		t.Fatalf("after the lease another took %v", got)
	}
}

func moves(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a", "b")
	l := h.take(t, "one", "a", "b")
	big := uint64(1) << 62
	h.write(t, "one", mark("b", l["b"], big), mark("a", l["a"], 5))
	h.write(t, "one", mark("a", l["a"], 5))
	h.at(t, "a", 5)
	h.at(t, "b", big)
	h.Expire()
	next := h.take(t, "two", "a", "b")
	same(t, "what the next holder starts from", []uint64{next["a"].Position, next["b"].Position}, []uint64{5, big})
	if next["a"].Epoch <= l["a"].Epoch {
		t.Fatalf("epoch %d after %d", next["a"].Epoch, l["a"].Epoch)
	}
}

func fences(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a", "b", "c")
	old := h.take(t, "one", "a", "b", "c")
	h.Expire()
	h.take(t, "two", "a", "c")
	lost := h.refused(t, "one", mark("a", old["a"], 9), mark("b", old["b"], 9), mark("c", old["c"], 9))
	same(t, "lost sources", lost, []string{"a", "c"})
	for _, s := range []string{"a", "b", "c"} {
		h.at(t, s, 0)
	}
	h.write(t, "one", mark("b", old["b"], 9))
	same(t, "the owner alone is not enough", h.refused(t, "two", mark("a", old["a"], 9)), []string{"a"})
}

func overdue(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a")
	l := h.take(t, "one", "a")["a"]
	h.Expire()
	h.write(t, "one", mark("a", l, 3))
	same(t, "free after it was renewed", h.free(t, "two"), []string(nil))
}

func givenUp(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a")
	l := h.take(t, "one", "a")["a"]
	_, err := h.Cursors.Write(t.Context(), member("one"), []driver.Mark{mark("a", l, 4)}, 0)
	must(t, "give up", err)
	same(t, "free for another", h.free(t, "two"), []string{"a"})
	h.refused(t, "one", mark("a", l, 5))
	same(t, "where the next starts", h.take(t, "two", "a")["a"].Position, uint64(4))
}

func takesAgain(t *testing.T, h CursorsHarness) {
	h.enrol(t, "a")
	first := h.take(t, "one", "a")["a"]
	same(t, "free for its holder", h.free(t, "one"), []string{"a"})
	second := h.take(t, "one", "a")["a"]
	h.refused(t, "one", mark("a", first, 1))
	h.write(t, "one", mark("a", second, 1))
}

func lowest(t *testing.T, h CursorsHarness) {
	low := func(want uint64) {
		t.Helper()
		got, err := h.Cursors.Low(t.Context(), "a")
		must(t, "low", err)
		same(t, "lowest position", got, want)
	}
	low(0)
	h.enrol(t, "a", "b")
	l := h.take(t, "one", "a")["a"]
	h.write(t, "one", mark("a", l, 8))
	low(8)
	must(t, "enrol", h.Cursors.Enrol(t.Context(), "late", "other", []string{"a"}))
	low(0)
	must(t, "forget", h.Cursors.Forget(t.Context(), "late"))
	must(t, "forget again", h.Cursors.Forget(t.Context(), "late"))
	low(8)
	h.at(t, "a", 8)
}

func race(t *testing.T, h CursorsHarness) {
	sources := []string{"a", "b", "c", "d"}
	h.enrol(t, sources...)
	var mu sync.Mutex
	holders := map[string]int{}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			mine := slices.Clone(sources)
			if i%2 == 1 {
				slices.Reverse(mine)
			}
			taken, err := h.Cursors.Take(t.Context(), member(fmt.Sprint("m", i)), mine, leaseTerm)
			if err != nil {
				t.Errorf("take: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for s := range taken {
				holders[s]++
			}
		})
	}
	all.Wait()
	same(t, "holders", holders, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
}
