package line

import (
	"testing"
	"time"

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
