package drivertest

import (
	"fmt"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

// filtered compares every filter with what Matches says of every letter.
func filtered(t *testing.T, h Harness) {
	for i := range 6 {
		p := queued([]string{"ann", "bob"}[i%2], i)
		p.Message.Type = []string{"a", "b", "c"}[i%3]
		l := letter(p)
		l.Reason, l.FailedAt = fmt.Sprintf("100%% wrong: No_%d", i/2), t0.Add(time.Duration(i)*time.Minute)
		must(t, "bury", done(t.Context(), h, p, l))
	}
	all, err := h.Store.List(t.Context(), driver.Filter{All: true}, 0, 10)
	must(t, "list", err)
	last, err := h.Store.Last(t.Context())
	must(t, "last", err)
	if len(all) != 6 || all[5].ID != last {
		t.Fatalf("%d letters, the last is %d", len(all), last)
	}
	must(t, "discard", h.Store.Discard(t.Context(), all[0].ID, "x", t0))
	all[0].State, all[0].Note = driver.Discarded, "x"
	for _, f := range []driver.Filter{
		{}, {All: true}, {Group: "g"}, {Group: "h"}, {Topic: "topic"}, {Topic: "tOpic"}, {User: "ann"}, {User: "Ann"}, {User: "bob", Type: "b"},
		{Key: all[2].Message.Key}, {Reason: "No_1"}, {Reason: "no_1"}, {Reason: "100%"}, {Reason: "%"}, {Reason: "o_"}, {Reason: "_1_"},
		{From: t0.Add(2 * time.Minute)}, {To: t0.Add(2 * time.Minute)}, {From: t0.Add(time.Minute), To: t0.Add(4 * time.Minute), User: "ann", All: true},
	} {
		var want []int64
		for i := range all {
			if f.Matches(&all[i]) {
				want = append(want, all[i].ID)
			}
		}
		var got []int64
		some, err := h.Store.List(t.Context(), f, 0, 10)
		must(t, "list", err)
		for _, l := range some {
			got = append(got, l.ID)
		}
		same(t, fmt.Sprintf("letters of %+v", f), got, want)
	}
}

func replaced(t *testing.T, h Harness) {
	ctx := t.Context()
	l := bury(t, h, queued("ann", 1))
	other := l.Message
	other.ID, other.Payload = "edit-1", []byte("mended")
	must(t, "replace", h.Store.Replace(ctx, l.ID, other, "replaced by edit-1", t0))
	if err := h.Store.Replace(ctx, l.ID, other, "again", t0); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a second replacement returned %v, wanted a conflict", err)
	}
	if err := h.Store.Replace(ctx, l.ID+100, other, "x", t0); !errs.Is(err, errs.NotFound) {
		t.Fatalf("a replacement of no letter returned %v, wanted not-found", err)
	}
	back := heads(t, h, t0)
	if len(back) != 1 || back[0].Message.ID != "edit-1" || string(back[0].Message.Payload) != "mended" || back[0].Replays != 0 || back[0].Tries != 0 {
		t.Fatalf("the new message is parked as %+v", back)
	}
	old, err := h.Store.Get(ctx, l.ID)
	must(t, "get", err)
	if old.State != driver.Replayed || old.Note != "replaced by edit-1" || string(old.Message.Payload) != string(l.Message.Payload) {
		t.Fatalf("the replaced letter is %+v", old)
	}
	must(t, "die", done(ctx, h, back[0], letter(back[0])))
	same(t, "counts after the new message died", count(t, h), [2]int64{0, 1})
}

func told(t *testing.T, h Harness) {
	ctx := t.Context()
	var all []int64
	for n := range 3 {
		all = append(all, bury(t, h, queued("ann", n)).ID)
	}
	must(t, "discard", h.Store.Discard(ctx, all[0], "x", t0))
	untold := func(limit int) (ids []int64) {
		t.Helper()
		some, err := h.Store.Untold(ctx, limit)
		must(t, "untold", err)
		for _, l := range some {
			ids = append(ids, l.ID)
		}
		return ids
	}
	same(t, "untold at first", untold(10), all)
	same(t, "a page of them", untold(2), all[:2])
	for range 2 {
		must(t, "tell", h.Store.Told(ctx, []int64{all[0], all[2]}))
	}
	must(t, "replay", h.Store.Replay(ctx, all[2], t0))
	same(t, "untold after two were told", untold(10), all[1:2])
	n, err := h.Store.CountUntold(ctx)
	must(t, "count untold", err)
	same(t, "count of untold", n, int64(1))
}
