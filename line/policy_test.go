package line

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/line/draw"
	"penstock/stock/driver"
)

// However often and from however many connections a user joins, he has one entry; entries are numbered in one order without gaps.
func testJoining(t *testing.T, e engine) {
	w := setup(t, e, newShop(1000, driver.AdmitLine, nil))
	const users, connections = 60, 4
	var mu sync.Mutex
	seen := map[string]ID{}
	var wg sync.WaitGroup
	for i := range users * connections {
		wg.Go(func() {
			user := name(i % users)
			got, err := w.Join(t.Context(), Request{Sale: "s", User: user, SKU: "lamp"})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if before, ok := seen[user]; ok && before != got.ID {
				t.Errorf("%s has the entries %v and %v", user, before, got.ID)
			}
			seen[user] = got.ID
		})
	}
	wg.Wait()
	places := map[uint64]bool{}
	for user, id := range seen {
		places[id.Seq] = true
		if e := w.looks(w.Lines, user, id); e.Position != int(id.Seq) || !w.joins(w.Lines, user).Again {
			t.Errorf("%s has place %d at number %d", user, e.Position, id.Seq)
		}
		if _, err := w.Look(t.Context(), "s", "eve", id); !errs.Is(err, errs.NotFound) {
			t.Errorf("eve sees %v: %v", id, err)
		}
	}
	if len(places) != users || w.fair(w.Lines).Entries != users {
		t.Errorf("%d places for %d users", len(places), users)
	}
}

// Who is silent when his turn comes costs one round and keeps his place: when he is back he is the next. Who leaves is gone, and a
// place counts those who are there.
func testLeavers(t *testing.T, e engine) {
	w := setup(t, e, newShop(3, driver.AdmitLine, &driver.LineRules{Reach: 10, AwaySeconds: 5}))
	var ids []ID
	for i := range 6 {
		ids = append(ids, w.joins(w.Lines, name(i)).ID)
	}
	if _, err := w.Leave(t.Context(), "s", name(1), ids[1]); err != nil {
		t.Fatal(err)
	}
	if got := w.looks(w.Lines, name(5), ids[5]); got.Position != 5 {
		t.Errorf("place %d after one left, want 5", got.Position)
	}
	w.clk.Advance(time.Hour) // everybody silent
	for _, i := range []int{2, 3, 4, 5} {
		w.looks(w.Lines, name(i), ids[i])
	}
	w.rounds(w.Lines, 20)
	for i, want := range map[int]string{2: "admitted", 3: "admitted", 4: "admitted", 5: "waiting", 1: "left"} {
		if got := w.looks(w.Lines, name(i), ids[i]); got.State != want {
			t.Errorf("%s is %s, want %s", name(i), got.State, want)
		}
	}
	back := w.looks(w.Lines, name(0), ids[0])
	if back.State != "waiting" || back.Position != 1 {
		t.Errorf("back again: %s at %d, want waiting at 1", back.State, back.Position)
	}
	if _, err := w.Leave(t.Context(), "s", name(2), ids[2]); err != nil {
		t.Fatal(err)
	}
	w.rounds(w.Lines, 20)
	if got := w.looks(w.Lines, name(0), ids[0]); got.State != "admitted" || w.looks(w.Lines, name(5), ids[5]).State != "waiting" {
		t.Errorf("the unit that was given up went past the one who came back, who is %s", got.State)
	}
	if again := w.joins(w.Lines, name(1)); again.ID.Seq != 7 {
		t.Errorf("who left and joined again has number %d, want the last, 7", again.ID.Seq)
	}
	w.fair(w.Lines)
}

// A line tells who is in reach, closes when a new entry would be out of reach, says so, and opens when units come back.
func testReach(t *testing.T, e engine) {
	w := setup(t, e, newShop(2, driver.AdmitLine, &driver.LineRules{Reach: 2}))
	want := []Reach{InReach, InReach, Unlikely, Unlikely}
	var ids []ID
	for i := range want {
		ids = append(ids, w.joins(w.Lines, name(i)).ID)
	}
	for i, r := range want {
		if got := w.looks(w.Lines, name(i), ids[i]); got.Reach != r {
			t.Errorf("%s is %s, want %s", name(i), got.Reach, r)
		}
	}
	_, err := w.Join(t.Context(), Request{Sale: "s", User: "late"})
	if refused, ok := errors.AsType[*errs.Error](err); !ok || refused.Code != errs.LineClosed || refused.Extra["ahead"] != 4 || refused.RetryAfter == 0 {
		t.Fatalf("the fifth for two units: %v", err)
	}
	if again := w.joins(w.Lines, name(3)); !again.Again {
		t.Error("an entry was lost to a closed line")
	}
	w.shop.sell(2)
	if got := w.looks(w.Lines, name(0), ids[0]); got.Reach != Gone {
		t.Errorf("sold out: the first is %s", got.Reach)
	}
	w.shop.free(5)
	if got := w.joins(w.Lines, "late"); got.Position != 5 || got.Reach != InReach {
		t.Errorf("open again: place %d, %s", got.Position, got.Reach)
	}
	lines, err := w.Standing(t.Context(), "s")
	if err != nil || len(lines) != 1 || lines[0].Waiting != 5 || !lines[0].Open {
		t.Errorf("operators see %+v, %v", lines, err)
	}
}

// No more passes are out than units are free; they are there before the sale opens and are good from then on; one that is not used
// in time goes to the next; one that was used is over.
func testPasses(t *testing.T, e engine) {
	w := setup(t, e, newShop(2, driver.AdmitLine, &driver.LineRules{Reach: 10, PassSeconds: 10, AwaySeconds: 7200}))
	var ids []ID
	for i := range 4 {
		ids = append(ids, w.joins(w.Lines, name(i)).ID)
	}
	w.rounds(w.Lines, 3)
	if got := w.looks(w.Lines, name(0), ids[0]); got.State != "waiting" || got.Wait < 59*time.Minute {
		t.Fatalf("an hour before: %s, wait %v", got.State, got.Wait)
	}
	w.clk.Advance(time.Hour - 20*time.Second)
	w.rounds(w.Lines, 10)
	first := w.looks(w.Lines, name(0), ids[0])
	if first.State != "admitted" || !first.Expires.Equal(opening.Add(10*time.Second)) {
		t.Fatalf("before the opening: %s until %v", first.State, first.Expires)
	}
	g, err := w.ring.VerifyAdmission(first.Pass, w.clk.Now())
	if err != nil || g.User != name(0) || g.Sale != "s" || g.SKU != "lamp" || g.Number != ids[0].Number() {
		t.Errorf("the pass says %+v, %v", g, err)
	}
	if again := w.looks(w.Lines, name(0), ids[0]); again.Pass != first.Pass {
		t.Error("looking again gives another pass")
	}
	w.looks(w.Lines, name(1), ids[1])
	w.rounds(w.Lines, 10)
	if got := w.looks(w.Lines, name(2), ids[2]); got.State != "waiting" || got.Position != 1 {
		t.Fatalf("three passes for two units: %s", got.State)
	} else if got.Wait >= 0 || got.Error >= 0 || got.Poll <= 0 {
		t.Errorf("no unit is free for the next, and he is told to wait %v ± %v", got.Wait, got.Error)
	}
	w.clk.Advance(20 * time.Second)
	w.shop.sell(1)
	w.Used(ids[0].Number(), 1)
	w.background.Wait()
	if got := w.looks(w.Lines, name(0), ids[0]); got.State != "used" || got.Pass != "" {
		t.Errorf("after its use: %s", got.State)
	} else if got.Poll != 0 {
		t.Errorf("an entry that has ended is to be looked at again in %v", got.Poll)
	}
	w.clk.Advance(10 * time.Second)
	w.rounds(w.Lines, 10)
	if got := w.looks(w.Lines, name(1), ids[1]); got.State != "expired" {
		t.Errorf("not used in time: %s", got.State)
	}
	if got := w.looks(w.Lines, name(2), ids[2]); got.State != "admitted" {
		t.Errorf("the next: %s", got.State)
	}
	if got := w.looks(w.Lines, name(3), ids[3]); got.State != "waiting" {
		t.Errorf("the one after: %s", got.State)
	}
	if served := w.fair(w.Lines); served.Calls != 3 {
		t.Errorf("%d calls", served.Calls)
	}
}

// After a restart everybody has his place, his pass and his number.
func testRestart(t *testing.T, e engine) {
	w := setup(t, e, newShop(3, driver.AdmitLine, &driver.LineRules{Reach: 100, AwaySeconds: 7200}))
	var before []Entry
	for i := range 200 {
		w.joins(w.Lines, name(i))
	}
	w.clk.Advance(time.Hour)
	w.rounds(w.Lines, 10)
	for i := range 200 {
		before = append(before, w.joins(w.Lines, name(i)))
	}
	w.background.Wait()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	l := w.process()
	for i, b := range before {
		got := w.joins(l, name(i))
		if got.ID != b.ID || got.Position != b.Position || got.State != b.State || got.Pass != b.Pass {
			t.Errorf("%s had %+v and has %+v", name(i), b, got)
		}
	}
	if before[2].State != "admitted" || before[3].State != "waiting" {
		t.Error("nobody was admitted before the restart")
	}
	w.fair(l)
}

// A draw: a promise before anybody enters, one pot until it closes, no order before the later value, an order that the published
// document proves and that is served; who came later stands behind.
func testDraw(t *testing.T, e engine) {
	w := setup(t, e, newShop(5, driver.AdmitDraw, &driver.LineRules{Reach: 10, PublicSource: "drand round 7", AwaySeconds: 7200}))
	if err := w.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := w.Draws(t.Context(), "s")
	if err != nil || before.Draws[0].Commitment == "" || before.Draws[0].Secret != "" {
		t.Fatalf("before: %+v, %v", before, err)
	}
	entries := map[string]Entry{}
	for i := range 20 {
		entries[name(i)] = w.joins(w.Lines, name(i))
	}
	if _, err := w.Leave(t.Context(), "s", name(4), entries[name(4)].ID); err != nil {
		t.Fatal(err)
	}
	if again := w.joins(w.Lines, name(4)); again.ID.Seq != 21 || again.Entrant != entries[name(4)].Entrant {
		t.Errorf("who left the pot and came again is %+v, and was %+v", again, entries[name(4)])
	} else {
		entries[name(4)] = again
	}
	if got := entries[name(3)]; got.State != "pot" || got.Position != 0 {
		t.Errorf("in the pot: %+v", got)
	}
	if err := w.Give(t.Context(), "s", "8f2c"); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("a value before the pot closed: %v", err)
	}
	w.clk.Advance(time.Hour)
	if err := w.Give(t.Context(), "s", "8f2c"); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("a value at the moment of closing, before anybody saw the list: %v", err)
	}
	late := w.joins(w.Lines, "late")
	w.rounds(w.Lines, 3)
	listed, err := w.Draws(t.Context(), "s")
	if err != nil || listed.Draws[0].State != draw.Closed || len(listed.Draws[0].Entrants) != 20 || listed.Draws[0].ListHash == "" || listed.Draws[0].Secret != "" {
		t.Fatalf("closed: %+v, %v", listed, err)
	}
	if err := w.Give(t.Context(), "s", "8f2c"); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("a value before the list was out for a moment: %v", err)
	}
	w.rounds(w.Lines, 20)
	if got := w.looks(w.Lines, name(3), entries[name(3)].ID); got.State != "pot" {
		t.Errorf("without the value: %s", got.State)
	}
	if err := errors.Join(w.Give(t.Context(), "s", "8f2c"), w.Give(t.Context(), "s", "8f2c")); err != nil {
		t.Fatal(err)
	}
	if err := w.Give(t.Context(), "s", "another"); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second value: %v", err)
	}
	w.rounds(w.Lines, 10)
	docs, err := w.Draws(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range []*draw.Documents{&before, &listed} {
		if _, err := draw.Verify(docs.Spell(), saved); err != nil {
			t.Fatal(err)
		}
	}
	d := docs.Draws[0]
	for user, was := range entries {
		got := w.looks(w.Lines, user, was.ID)
		if at := d.Order[got.Drawn-1]; d.Entrants[at] != got.Entrant {
			t.Errorf("%s is not at the place that was drawn", user)
		}
		if state := map[bool]string{true: "admitted", false: "waiting"}[got.Drawn <= 5]; got.State != state {
			t.Errorf("drawn at %d of 5 units: %s", got.Drawn, got.State)
		}
	}
	if got := w.looks(w.Lines, "late", late.ID); got.Position != 16 || got.Drawn != 0 {
		t.Errorf("who came after the pot has place %d behind 15", got.Position)
	}
	w.fair(w.Lines)
}

// Joining costs the work that the sale asks for; a proof is good for its user, its SKU and one entry.
func testProof(t *testing.T, e engine) {
	w := setup(t, e, newShop(5, driver.AdmitLine, &driver.LineRules{ProofBits: 8}))
	r := Request{Sale: "s", User: "ann", SKU: "lamp"}
	_, err := w.Join(t.Context(), r)
	asked, ok := errors.AsType[*errs.Error](err)
	if !ok || asked.Code != errs.ProofRequired || asked.Extra["bits"] != 8 {
		t.Fatalf("without a proof: %v", err)
	}
	r.Challenge, _ = asked.Extra["challenge"].(string)
	for n := 0; !Proves(r.Challenge, r.Nonce, 8); n++ {
		r.Nonce = strconv.Itoa(n)
	}
	stolen, wrong := r, r
	stolen.User, wrong.Nonce = "eve", r.Nonce+"x"
	for what, bad := range map[string]Request{"another's": stolen, "a wrong nonce": wrong} {
		if _, err := w.Join(t.Context(), bad); !errs.Is(err, errs.ProofRequired) && !Proves(bad.Challenge, bad.Nonce, 8) {
			t.Errorf("%s: %v", what, err)
		}
	}
	got, err := w.Join(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Leave(t.Context(), "s", "ann", got.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Join(t.Context(), r); !errs.Is(err, errs.ProofRequired) {
		t.Errorf("the same proof for a second entry: %v", err)
	}
}

// What is said of the wait is right within the error that is said with it, nine times of ten, once the line moves.
func testWait(t *testing.T, e engine) {
	w := setup(t, e, newShop(10_000, driver.AdmitLine, &driver.LineRules{RatePerSecond: 20, AwaySeconds: 7200}))
	w.clk.Advance(time.Hour)
	const users = 150
	var ids []ID
	for i := range users {
		ids = append(ids, w.joins(w.Lines, name(i)).ID)
	}
	w.rounds(w.Lines, 30)
	type said struct{ at, wait, give time.Duration }
	told := map[int]said{}
	since := w.clk.Now()
	for i := range users {
		if got := w.looks(w.Lines, name(i), ids[i]); got.State == "waiting" && got.Wait >= 0 {
			told[i] = said{0, got.Wait, got.Error}
		}
	}
	right, all := 0, len(told)
	for len(told) > 0 && w.clk.Now().Sub(since) < 2*time.Minute {
		w.rounds(w.Lines, 1)
		for i, s := range told {
			if got := w.looks(w.Lines, name(i), ids[i]); got.State == "admitted" {
				if off := w.clk.Now().Sub(since) - s.wait; max(off, -off) <= s.give {
					right++
				}
				delete(told, i)
			}
		}
	}
	if t.Logf("%d of %d within the stated error", right, all); all < 50 || right*10 < all*9 || len(told) > 0 {
		t.Errorf("%d of %d waits were within their stated error, %d never ended", right, all, len(told))
	}
}

// Recompute finds a call past somebody who waited, a number that is missing and a place drawn twice.
func testUnfairness(t *testing.T, e engine) {
	w := setup(t, e, newShop(1, driver.AdmitLine, &driver.LineRules{Reach: 9, AwaySeconds: 7200}))
	for i := range 3 {
		w.joins(w.Lines, name(i))
	}
	w.clk.Advance(time.Hour)
	w.rounds(w.Lines, 5)
	var b bytes.Buffer
	if err := w.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	id := func(n string) string { return `"entry":"1-` + n + `","seq":` + n }
	move := strings.Index(good, `{"kind":"move"`)
	if move < 0 || !strings.Contains(good[move:], id("1")) {
		t.Fatalf("nobody was called: %s", good)
	}
	for what, bad := range map[string]string{
		"the second was called": good[:move] + strings.Replace(good[move:], id("1"), id("2"), 1),
		"a number is missing":   strings.Replace(good, id("2"), id("4"), 1),
		"a place drawn twice":   strings.ReplaceAll(good, `"user":"user-0`, `"drawn":1,"user":"user-0`),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was altered in %s", what, good)
		}
		if _, err := Recompute(strings.NewReader(bad)); !errors.Is(err, ErrUnfair) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Recompute(strings.NewReader(`{"id":"queue"}`)); err == nil || errors.Is(err, ErrUnfair) {
		t.Errorf("a file of something else: %v", err)
	}
}

// Fewer are called while decisions are slow, down to a trickle, and more again, up to the rate, once they are quick; and never more
// than units are free.
func testSlow(t *testing.T, e engine) {
	sh := newShop(1000, driver.AdmitLine, &driver.LineRules{RatePerSecond: 20, AwaySeconds: 7200, PassSeconds: 3600})
	w := setup(t, e, sh)
	for i := range 250 {
		w.joins(w.Lines, name(i))
	}
	w.clk.Advance(time.Hour)
	b := w.line("s", "lamp")
	calls := func(seconds int) int {
		before := b.count[called]
		w.rounds(w.Lines, 10*seconds)
		return b.count[called] - before
	}
	takes := func(d time.Duration) {
		for range 200 {
			w.Decided(d)
		}
	}
	takes(5 * time.Millisecond)
	if n := calls(2); n < 34 || n > 46 {
		t.Errorf("%d called in two seconds of quick decisions, want about 40", n)
	}
	takes(300 * time.Millisecond)
	calls(7)
	if n := calls(3); n > 10 {
		t.Errorf("%d called in three seconds after seven of slow decisions, want a trickle", n)
	}
	takes(5 * time.Millisecond)
	calls(10)
	if n := calls(1); n < 15 {
		t.Errorf("%d called in a second after ten of quick decisions, want the rate again", n)
	}
	if n := b.count[waiting]; n == 0 {
		t.Fatal("nobody is left to wait")
	}
	sh.sell(sh.level.Available - int64(b.count[called])) // others bought all but what is promised
	if n := calls(2); n != 0 {
		t.Errorf("%d called beyond the stock", n)
	}
	sh.free(3)
	if n := calls(2); n != 3 {
		t.Errorf("%d called for three units that came back", n)
	}
}

// A pass that was used at another process counts until the stock rows were read again, however long that takes: nobody is called for
// a unit that is gone.
func testLateRows(t *testing.T, e engine) {
	sh := newShop(2, driver.AdmitLine, &driver.LineRules{Reach: 10, AwaySeconds: 7200})
	w := setup(t, e, sh)
	a, other := w.Lines, w.process()
	w.clk.Advance(time.Hour)
	var ids []ID
	for i := range 4 {
		ids = append(ids, w.joins(a, name(i)).ID)
	}
	w.rounds(a, 10)
	for i := range 2 {
		w.looks(a, name(i), ids[i])
	}
	sh.mu.Lock()
	sh.asOf = w.clk.Now() // from here on no row is read: both units seem to be free
	sh.mu.Unlock()
	w.rounds(other, 1)
	for i := range 2 {
		other.Used(ids[i].Number(), 1)
	}
	other.background.Wait()
	w.rounds(a, 100)
	if b := a.line("s", "lamp"); b.count[used] != 2 || b.count[waiting] != 2 {
		t.Fatalf("%d used, %d waiting: somebody was called for a unit that is gone", b.count[used], b.count[waiting])
	}
	sh.mu.Lock()
	sh.asOf = w.clk.Now() // read again: two were given back
	sh.mu.Unlock()
	w.rounds(a, 10)
	if b := a.line("s", "lamp"); b.count[waiting] != 0 {
		t.Errorf("%d wait although the rows say that units are free", b.count[waiting])
	}
}

// Two processes over one database serve one line: one numbering, one entry per user, one caller at a time, users seen by either; when
// the caller goes, the other calls.
func testTwoProcesses(t *testing.T, e engine) {
	w := setup(t, e, newShop(40, driver.AdmitLine, &driver.LineRules{Reach: 10, AwaySeconds: 20}))
	a, b := w.Lines, w.process()
	w.clk.Advance(time.Hour)
	const users = 60
	ids := make([]ID, users)
	var wg sync.WaitGroup
	for i := range users {
		for n, l := range []*Lines{a, b} {
			wg.Go(func() {
				got, err := l.Join(t.Context(), Request{Sale: "s", User: name(i)})
				if err != nil {
					t.Error(err)
				}
				if n == 0 {
					ids[i] = got.ID
				}
			})
		}
	}
	wg.Wait()
	for range 15 {
		w.rounds(a, 1)
		w.rounds(b, 1)
	}
	if !a.ours() || b.ours() {
		t.Error("not one process calls")
	}
	for i := range users { // everybody looks where he was not numbered
		if got := w.looks(b, name(i), ids[i]); got.ID != w.joins(a, name(i)).ID {
			t.Errorf("%s has two entries", name(i))
		}
	}
	if served := w.fair(b); served.Entries != users {
		t.Errorf("%d entries for %d users", served.Entries, users)
	}
	w.clk.Advance(10 * time.Second) // a is gone; who looks at b is there
	for i := range users {
		w.looks(b, name(i), ids[i])
	}
	w.rounds(b, 30)
	if !b.ours() {
		t.Error("nobody took over")
	}
	admitted := 0
	for i := range users {
		if w.looks(b, name(i), ids[i]).State == "admitted" {
			admitted++
		}
	}
	if admitted != 40 {
		t.Errorf("%d passes for 40 units", admitted)
	}
	w.fair(b)
}

// ours reports whether the process calls in any line.
func (l *Lines) ours() bool {
	for _, b := range l.books() {
		if l.opt.Clock.Now().Before(b.lease) {
			return true
		}
	}
	return false
}

// Out is about passes that are not used yet, in the eyes of the line.
func TestOut(t *testing.T) {
	t.Parallel()
	w := setup(t, onSQLite(), newShop(2, driver.AdmitLine, &driver.LineRules{AwaySeconds: 7200}))
	id := w.joins(w.Lines, name(0)).ID
	if w.Out(id.Number()) || w.Out(ID{id.Line, 99}.Number()) || w.Out(ID{7, 1}.Number()) {
		t.Error("a pass that nobody got counts")
	}
	w.clk.Advance(time.Hour)
	w.rounds(w.Lines, 10)
	w.looks(w.Lines, name(0), id)
	if !w.Out(id.Number()) {
		t.Error("a pass that was collected does not count")
	}
	w.Used(id.Number(), 1)
	w.background.Wait()
	if w.Out(id.Number()) {
		t.Error("a used pass counts")
	}
}
