package drivertest

import (
	"context"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

// t0 is the time at which the store tests begin.
var t0 = time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC)

// queued makes the n-th message of a user as the bus parks it.
func queued(user string, n int) driver.Parked {
	m := msg(user, n)
	m.Topic, m.Partition, m.Offset = "topic", 7, uint64(100+n)
	return driver.Parked{Message: m, Due: t0}
}

// heads returns the due heads at a moment.
func heads(t *testing.T, h Harness, at time.Time) []driver.Parked {
	t.Helper()
	out, err := h.Store.Parked(t.Context(), "g", at, 100)
	must(t, "parked", err)
	return out
}

func headIDs(t *testing.T, h Harness, at time.Time) []string {
	t.Helper()
	out := []string{}
	for _, p := range heads(t, h, at) {
		out = append(out, p.Message.ID)
	}
	return out
}

func count(t *testing.T, h Harness) [2]int64 {
	t.Helper()
	parked, dead, err := h.Store.Count(t.Context(), "g")
	must(t, "count", err)
	return [2]int64{parked, dead}
}

// bury parks the message if it is not, and makes the head of its user a dead letter.
func bury(t *testing.T, h Harness, p driver.Parked) driver.DeadLetter {
	t.Helper()
	must(t, "park", h.Store.Park(t.Context(), "g", []driver.Parked{p}))
	for _, head := range heads(t, h, t0.Add(time.Hour)) {
		if head.Message.ID == p.Message.ID {
			must(t, "done", done(t.Context(), h, head, letter(head)))
		}
	}
	all, err := h.Store.List(t.Context(), driver.Filter{}, 0, 1000)
	must(t, "list", err)
	if len(all) == 0 {
		t.Fatal("no dead letter after Done with one")
	}
	return all[len(all)-1]
}

// done settles one message: handled, or dead.
func done(ctx context.Context, h Harness, p driver.Parked, dead *driver.DeadLetter) error {
	return h.Store.Settle(ctx, "g", []driver.Outcome{{Parked: p, Dead: dead}})
}

func letter(p driver.Parked) *driver.DeadLetter {
	return &driver.DeadLetter{
		Group: "g", Message: p.Message, Reason: "boom", Attempts: 4, FailedAt: t0.Add(time.Second), Replays: p.Replays, State: driver.Dead,
	}
}

func parkedOrder(t *testing.T, h Harness) {
	ctx := t.Context()
	must(t, "park", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1), queued("bob", 1), queued("ann", 2)}))
	must(t, "park again", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1), queued("ann", 2), queued("ann", 3)}))
	must(t, "park in another group", h.Store.Park(ctx, "other", []driver.Parked{queued("cid", 1), queued("ann", 1)}))
	same(t, "counts", count(t, h), [2]int64{4, 0})
	users, err := h.Store.Users(ctx, "g")
	must(t, "users", err)
	same(t, "users", users, []string{"ann", "bob"})
	var order []string
	for {
		due := heads(t, h, t0)
		if len(due) == 0 {
			break
		}
		seen := map[string]bool{}
		for _, p := range due {
			if seen[p.Message.User] {
				t.Fatalf("two messages of %s at once", p.Message.User)
			}
			seen[p.Message.User] = true
			order = append(order, p.Message.ID)
			must(t, "done", done(ctx, h, p, nil))
			must(t, "done again", done(ctx, h, p, letter(p)))
		}
	}
	same(t, "order of heads", order, []string{"ann-1", "bob-1", "ann-2", "ann-3"})
	same(t, "counts at the end", count(t, h), [2]int64{0, 0})
}

func parkedDue(t *testing.T, h Harness) {
	ctx := t.Context()
	first := queued("ann", 1)
	first.Tries, first.Error, first.Due = 1, "no", t0.Add(time.Minute)
	must(t, "park", h.Store.Park(ctx, "g", []driver.Parked{first, queued("ann", 2), queued("bob", 1)}))
	same(t, "due at once", headIDs(t, h, t0), []string{"bob-1"})
	same(t, "due a minute later", headIDs(t, h, t0.Add(time.Minute)), []string{"bob-1", "ann-1"})
	head := heads(t, h, t0.Add(time.Minute))[1]
	first.Seq = head.Seq
	same(t, "the parked message", head, first)
	head.Tries, head.Error, head.Due = 2, "still no", t0.Add(time.Hour)
	must(t, "retry", h.Store.Settle(ctx, "g", []driver.Outcome{{Parked: head, Again: true}}))
	same(t, "due after a retry", headIDs(t, h, t0.Add(time.Minute)), []string{"bob-1"})
	same(t, "the message after a retry", heads(t, h, t0.Add(time.Hour))[1], head)
	must(t, "done", done(ctx, h, head, nil))
	same(t, "the next of the user", headIDs(t, h, t0), []string{"ann-2", "bob-1"})
	limited, err := h.Store.Parked(ctx, "g", t0, 1)
	must(t, "parked", err)
	same(t, "heads with a limit of 1", len(limited), 1)
}

func settleMany(t *testing.T, h Harness) {
	ctx := t.Context()
	must(t, "park", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1), queued("ann", 2), queued("bob", 1), queued("cid", 1)}))
	all := heads(t, h, t0)
	again := all[1]
	again.Tries, again.Due = 1, t0.Add(time.Minute)
	never := queued("dee", 1)
	outcomes := []driver.Outcome{
		{Parked: all[0]}, {Parked: again, Again: true}, {Parked: all[2], Dead: letter(all[2])}, {Parked: never, Dead: letter(never)},
	}
	must(t, "settle", h.Store.Settle(ctx, "g", outcomes))
	must(t, "settle again", h.Store.Settle(ctx, "g", outcomes))
	same(t, "counts", count(t, h), [2]int64{2, 2})
	same(t, "due at once", headIDs(t, h, t0), []string{"ann-2"})
	same(t, "due in a minute", headIDs(t, h, t0.Add(time.Minute)), []string{"ann-2", "bob-1"})
}

func deadLetter(t *testing.T, h Harness) {
	ctx := t.Context()
	must(t, "park", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1), queued("ann", 2)}))
	l := bury(t, h, queued("ann", 1))
	want := *letter(queued("ann", 1))
	want.ID = l.ID
	same(t, "the listed letter", l, want)
	got, err := h.Store.Get(ctx, l.ID)
	must(t, "get", err)
	same(t, "the letter by id", *got, want)
	same(t, "the next of the user", headIDs(t, h, t0), []string{"ann-2"})
	same(t, "counts", count(t, h), [2]int64{1, 1})
	missing, err := h.Store.Get(ctx, l.ID+1)
	must(t, "get", err)
	if missing != nil {
		t.Fatalf("a letter that does not exist: %+v", missing)
	}
}

func replay(t *testing.T, h Harness) {
	ctx := t.Context()
	l := bury(t, h, queued("ann", 1))
	must(t, "park", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 2)}))
	at := t0.Add(time.Minute)
	must(t, "replay", h.Store.Replay(ctx, l.ID, at))
	if err := h.Store.Replay(ctx, l.ID, at); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a second replay returned %v, wanted a conflict", err)
	}
	if err := h.Store.Replay(ctx, l.ID+100, at); !errs.Is(err, errs.NotFound) {
		t.Fatalf("a replay of no letter returned %v, wanted not-found", err)
	}
	same(t, "the head while older ones wait", headIDs(t, h, at), []string{"ann-2"})
	must(t, "done", done(ctx, h, heads(t, h, at)[0], nil))
	back := heads(t, h, at)
	if len(back) != 1 || back[0].Message.ID != "ann-1" || back[0].Tries != 0 || back[0].Replays != 1 || !back[0].Due.Equal(at) {
		t.Fatalf("replayed message is parked as %+v", back)
	}
	must(t, "die again", done(ctx, h, back[0], letter(back[0])))
	open, err := h.Store.List(ctx, driver.Filter{}, 0, 10)
	must(t, "list", err)
	if len(open) != 1 || open[0].ID <= l.ID || open[0].Replays != 1 {
		t.Fatalf("open letters after a second death: %+v", open)
	}
	old, err := h.Store.Get(ctx, l.ID)
	must(t, "get", err)
	same(t, "state of the first letter", old.State, driver.Replayed)
}

func discard(t *testing.T, h Harness) {
	ctx := t.Context()
	l := bury(t, h, queued("ann", 1))
	must(t, "discard", h.Store.Discard(ctx, l.ID, "sent by mistake", t0))
	if err := h.Store.Discard(ctx, l.ID, "again", t0); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a second discard returned %v, wanted a conflict", err)
	}
	if err := h.Store.Replay(ctx, l.ID, t0); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a replay of a discarded letter returned %v, wanted a conflict", err)
	}
	if err := h.Store.Discard(ctx, l.ID+100, "x", t0); !errs.Is(err, errs.NotFound) {
		t.Fatalf("a discard of no letter returned %v, wanted not-found", err)
	}
	open, err := h.Store.List(ctx, driver.Filter{}, 0, 10)
	must(t, "list", err)
	all, err := h.Store.List(ctx, driver.Filter{All: true}, 0, 10)
	must(t, "list all", err)
	if len(open) != 0 || len(all) != 1 || all[0].State != driver.Discarded || all[0].Note != "sent by mistake" {
		t.Fatalf("open %+v, all %+v", open, all)
	}
	same(t, "counts", count(t, h), [2]int64{0, 0})
}

func paging(t *testing.T, h Harness) {
	for n := range 5 {
		bury(t, h, queued("ann", n))
	}
	var got []string
	for after := int64(0); ; {
		page, err := h.Store.List(t.Context(), driver.Filter{All: true}, after, 2)
		must(t, "list", err)
		for _, l := range page {
			if l.ID <= after {
				t.Fatalf("letter %d after %d", l.ID, after)
			}
			after = l.ID
			got = append(got, l.Message.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, "all pages", got, []string{"ann-0", "ann-1", "ann-2", "ann-3", "ann-4"})
}

func deadOnce(t *testing.T, h Harness) {
	ctx := t.Context()
	l := bury(t, h, queued("ann", 1))
	must(t, "park again", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1)}))
	never := queued("ann", 1)
	must(t, "bury again", done(ctx, h, never, letter(never)))
	same(t, "counts", count(t, h), [2]int64{0, 1})
	must(t, "replay", h.Store.Replay(ctx, l.ID, t0))
	must(t, "park beside the replay", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1)}))
	same(t, "counts after a replay", count(t, h), [2]int64{1, 0})
	must(t, "done", done(ctx, h, heads(t, h, t0)[0], nil))
	must(t, "park after it was done", h.Store.Park(ctx, "g", []driver.Parked{queued("ann", 1)}))
	same(t, "counts after the replay was done", count(t, h), [2]int64{0, 0})
	poison := queued("bob", 1)
	must(t, "bury what was never parked", done(ctx, h, poison, letter(poison)))
	same(t, "counts after a poison message", count(t, h), [2]int64{0, 1})
}
