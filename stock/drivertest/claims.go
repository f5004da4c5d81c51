package drivertest

import (
	"slices"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// A move changes the claim wherever it is read; only a release gives the allowance back; the why of a release is kept; a
// bound answer stays what it was.
func movesChangeClaimAndAllowance(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 10, "b": 10})
	k := driver.Key{Sale: "s", User: "u", Key: "k"}
	w := d.win(k, line("a", 2), line("b", 3))
	other := d.win(driver.Key{Sale: "s", User: "u", Key: "other"}, line("a", 1))
	ref := func(sku string) driver.TakenRef { return driver.TakenRef{Sale: "s", SKU: sku, User: "u"} }
	expect := func(when string, state driver.ClaimState, why string, a, b int64) {
		t.Helper()
		want := *w
		want.State, want.Why = state, why
		same(t, when+": by key", d.attempt(k), &want, noSeq)
		same(t, when+": by id", d.claim(w.ID), &want, noSeq)
		if state != driver.Released {
			want.Why = d.claim(w.ID).Why
		}
		r := &driver.Reads{Keys: []driver.Key{k}, Claims: []ident.ID{w.ID}, Taken: []driver.TakenRef{ref("a"), ref("b")}}
		d.peek(r, func(st *driver.State) {
			same(t, when+": in a decision, by key", st.Known[0], &want, noSeq)
			same(t, when+": in a decision, by id", st.Claims[0], &want, noSeq)
			same(t, when+": allowances", st.Taken, []int64{a, b})
		})
		same(t, when+": the other claim", d.claim(other.ID), other, noSeq)
	}
	expect("held", driver.Held, "", 3, 3)
	d.move(w, driver.Sold, "")
	expect("sold", driver.Sold, "", 3, 3)
	d.move(w, driver.Released, "refunded")
	expect("refunded", driver.Released, "refunded", 1, 0)
	d.reopen()
	expect("reopened", driver.Released, "refunded", 1, 0)
	d.move(other, driver.Released, "expired")
	if n := d.taken(ref("a")); n != 0 {
		t.Errorf("after everything was released the user has taken %d", n)
	}
}

// Due lists exactly the held claims whose time has come, the moment itself included, earliest first, up to the limit.
func dueListsEarliestFirst(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 100})
	at := map[time.Duration]ident.ID{}
	for i, after := range []time.Duration{5, 1, 3, 2, 4} {
		w := d.winning(driver.Key{Sale: "s", User: "u", Key: string(rune('a' + i))}, line("a", 1))
		w.ReleaseAt = start.Add(after * time.Minute)
		d.bind(w)
		at[after] = w.ID
	}
	d.bind(d.losing(driver.Key{Sale: "s", User: "v", Key: "lost"}, errs.SoldOut, line("a", 1)))
	expect := func(when string, now time.Time, limit int, want ...ident.ID) {
		t.Helper()
		same(t, when, d.due(now, limit), want)
	}
	expect("nothing yet", start.Add(time.Minute-time.Millisecond), 10)
	expect("the moment itself", start.Add(time.Minute), 10, at[1])
	expect("earliest first", start.Add(4*time.Minute), 10, at[1], at[2], at[3], at[4])
	expect("limited", far, 2, at[1], at[2])
	sold, released := d.claim(at[1]), d.claim(at[3])
	d.move(sold, driver.Sold, "")
	d.move(released, driver.Released, "cancelled")
	expect("only held", far, 10, at[2], at[4], at[5])
	d.move(sold, driver.Released, "refunded")
	d.reopen()
	expect("after reopening", far, 10, at[2], at[4], at[5])
}

// Unsent lists one user's wins, each once, in the order in which they were decided, and neither refusals nor other users' wins.
func unsentListsWinsInOrder(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 100})
	d.sale("r", map[string]int64{"a": 100})
	var ids []ident.ID
	var batch []*driver.Attempt
	for i, slot := range []int{900, 100, 500, 300, 700} {
		w := d.winning(driver.Key{Sale: []string{"s", "r"}[i%2], User: "u", Key: string(rune('z' - i))}, line("a", 1))
		w.ID = d.ids.Next(start, slot)
		ids, batch = append(ids, w.ID), append(batch, w)
		if i == 2 {
			d.bind(batch...)
			d.bind(d.losing(driver.Key{Sale: "s", User: "u", Key: "lost"}, errs.LimitReached, line("a", 1)))
			d.win(driver.Key{Sale: "s", User: "v", Key: "k"}, line("a", 1))
			batch = nil
		}
	}
	d.bind(batch...)
	listed := func(user string) []ident.ID {
		var got []ident.ID
		for _, a := range d.unsent(user) {
			got = append(got, a.ID)
			same(t, "unsent against the claim", a, d.claim(a.ID))
		}
		return got
	}
	same(t, "unsent of u", listed("u"), ids)
	if n := len(listed("v")); n != 1 {
		t.Errorf("v has %d wins, want 1", n)
	}
	if n := len(listed("nobody")); n != 0 {
		t.Errorf("nobody has %d wins", n)
	}
	d.reopen()
	same(t, "unsent of u after reopening", listed("u"), ids)
	if !slices.IsSortedFunc(d.unsent("u"), func(a, b *driver.Attempt) int { return int(int64(a.Seq) - int64(b.Seq)) }) {
		t.Error("unsent is not in order of Seq")
	}
}

// Unsent leaves out exactly the wins up to the number that was acknowledged; acknowledging less later takes nothing back, and
// the answers themselves stay.
func unsentEndsWhereAcknowledged(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 100, "b": 100})
	var ids []ident.ID
	var seqs []uint64
	for i := range 4 {
		w := d.win(driver.Key{Sale: "s", User: "u", Key: string(rune('a' + i))}, line("a", 1), line("b", 1))
		ids, seqs = append(ids, w.ID), append(seqs, d.attempt(w.Key).Seq)
	}
	expect := func(when string, seq uint64, want ...ident.ID) {
		t.Helper()
		if err := d.drv.Sent(t.Context(), seq); err != nil {
			t.Fatalf("sent %d: %v", seq, err)
		}
		var got []ident.ID
		for _, a := range d.unsent("u") {
			got = append(got, a.ID)
		}
		same(t, when, got, want)
	}
	expect("nothing acknowledged", 0, ids...)
	expect("just before the second", seqs[1]-1, ids[1:]...)
	expect("the second", seqs[1], ids[2:]...)
	expect("less again", seqs[0], ids[2:]...)
	expect("everything", d.snapshot().Seq)
	late := d.win(driver.Key{Sale: "s", User: "u", Key: "late"}, line("a", 1))
	expect("a later win", seqs[3], late.ID)
	same(t, "an acknowledged win", d.claim(ids[0]).ID, ids[0])
	d.move(late, driver.Sold, "")
	if n := len(d.journal()); n != 2+5+1 {
		t.Errorf("the journal has %d entries, want 8", n)
	}
}

// The snapshot names the highest id ever bound, refusals included, also after reopening.
func snapshotKnowsHighestID(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 100})
	high := ident.ID(0)
	for i, slot := range []int{500, 900, 100} {
		a := d.winning(driver.Key{Sale: "s", User: "u", Key: string(rune('a' + i))}, line("a", 1))
		if i == 1 {
			a = d.losing(a.Key, errs.LimitReached, line("a", 1))
		}
		a.ID = d.ids.Next(start, slot)
		high = max(high, a.ID)
		d.bind(a)
		if got := d.snapshot().LastID; got != high {
			t.Errorf("after id %d the highest is %d, want %d", a.ID, got, high)
		}
	}
	d.reopen()
	if got := d.snapshot().LastID; got != high {
		t.Errorf("after reopening the highest id is %d, want %d", got, high)
	}
}
