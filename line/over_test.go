package line

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/stock/driver"
)

// A pass that was out when a process ended runs out in the next one, once: the history that is read at the start names it twice.
func TestPassesRunOutAfterARestart(t *testing.T) {
	t.Parallel()
	w := setup(t, onSQLite(), newShop(1, driver.AdmitLine, nil))
	w.clk.Advance(time.Hour)
	first, second := w.joins(w.Lines, "ann"), w.joins(w.Lines, "ben")
	w.rounds(w.Lines, 2)
	if e := w.looks(w.Lines, "ann", first.ID); e.State != "admitted" {
		t.Fatalf("ann is %s, want admitted", e.State)
	}
	w.background.Wait()
	_ = w.store.Close()
	l := w.process()
	w.clk.Advance(3 * time.Minute)
	w.looks(l, "ben", second.ID)
	w.rounds(l, 3)
	if e := w.looks(l, "ann", first.ID); e.State != "expired" {
		t.Errorf("ann is %s, want expired", e.State)
	}
	if e := w.looks(l, "ben", second.ID); e.State != "admitted" {
		t.Errorf("ben is %s, want admitted: ann's pass has run out", e.State)
	}
	w.fair(l)
}

// However often somebody asks for what is published of a draw, its line is not kept waiting while the list is hashed again.
func TestPublishedOnceForAll(t *testing.T) {
	w := setup(t, onSQLite(), newShop(1, driver.AdmitDraw, &driver.LineRules{PublicSource: "drand round 7"}))
	for i := range 2000 {
		w.joins(w.Lines, name(i))
	}
	w.clk.Advance(time.Hour)
	w.rounds(w.Lines, 1)
	b := w.line("s", "lamp")
	for _, state := range []string{"closed", "drawn"} {
		if state == "drawn" {
			w.clk.Advance(listing)
			if err := w.Give(t.Context(), "s", "the value"); err != nil {
				t.Fatal(err)
			}
		}
		if doc := b.published(); doc.State != state || len(doc.Entrants) != 2000 {
			t.Fatalf("%s with %d entrants, want %s", doc.State, len(doc.Entrants), state)
		}
		if n := testing.AllocsPerRun(5, func() { b.published() }); n > 100 {
			t.Errorf("%s: publishing it again makes %v objects", state, n)
		}
	}
}

// Who leaves with a pass has none any more: its unit goes to the next, and joining again would make one pass after the other.
func TestLeavingGivesThePassBack(t *testing.T) {
	t.Parallel()
	w := setup(t, onSQLite(), newShop(1, driver.AdmitLine, nil))
	w.clk.Advance(time.Hour)
	e := w.joins(w.Lines, "ann")
	w.rounds(w.Lines, 2)
	if e = w.looks(w.Lines, "ann", e.ID); e.Pass == "" || w.Left(e.ID.Number()) {
		t.Fatalf("ann is %s", e.State)
	}
	if _, err := w.Leave(t.Context(), "s", "ann", e.ID); err != nil {
		t.Fatal(err)
	}
	if !w.Left(e.ID.Number()) || w.Left(ID{7, 1}.Number()) || w.Left(ID{e.ID.Line, 99}.Number()) {
		t.Error("the pass of one who left is not known for it")
	}
}

// The lines of a sale that ended a day ago leave memory of a process that goes on. What is published of a draw is read again, is the
// same, and leaves again; an entry is not found, as after a restart.
func TestLinesOfOldSalesLeaveMemory(t *testing.T) {
	t.Parallel()
	w := setup(t, onSQLite(), newShop(1, driver.AdmitDraw, &driver.LineRules{PublicSource: "drand round 7"}))
	e := w.joins(w.Lines, "ann")
	w.joins(w.Lines, "ben")
	w.clk.Advance(time.Hour)
	w.rounds(w.Lines, 1)
	w.clk.Advance(listing)
	if err := w.Give(t.Context(), "s", "the value"); err != nil {
		t.Fatal(err)
	}
	before, err := w.Draws(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(24 * time.Hour)
	w.rounds(w.Lines, 1)
	if w.known(e.ID.Line) == nil || w.looks(w.Lines, "ann", e.ID).State != "expired" {
		t.Fatal("within a day of the end ann does not see her entry")
	}
	w.clk.Advance(2 * time.Hour)
	for range 2 {
		w.rounds(w.Lines, 1)
		if len(w.books()) != 0 || len(w.lines) != 0 {
			t.Fatal("the line is in memory a day after the end")
		}
		if _, err := w.Look(t.Context(), "s", "ann", e.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("ann looks: %v, want not-found", err)
		}
		after, err := w.Draws(t.Context(), "s")
		if diff := cmp.Diff(before, after); err != nil || diff != "" {
			t.Fatalf("the draw is published otherwise: %v\n%s", err, diff)
		}
		w.rounds(w.Lines, 1)
		if len(w.books()) != 1 {
			t.Fatal("the line that was just asked for is gone")
		}
		w.clk.Advance(idle)
	}
	w.fair(w.Lines)
}
