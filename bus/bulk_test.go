package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/errs"
)

// A run over many letters replays each that it may, in batches, tells which it skipped and why, and does not replay in circles
// what dies again meanwhile.
func TestReplayAllGoesThroughOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	d.clock2(&eager{now: start})
	for n := range 25 {
		d.letter(t, n, map[bool]int{n == 7: 5}[true]) // the eighth came back too often
	}
	b := Bulk{Reason: "mended", Limit: 10}
	var p Progress
	settled, batches := 0, 0
	for ; !p.Done; batches++ {
		var err error
		if p, err = d.ReplayAll(t.Context(), "op", b); err != nil {
			t.Fatal(err)
		}
		if batches == 0 {
			d.letter(t, 100, 1) // died again
			if len(p.Skipped) != 1 || p.Skipped[0].ID != 8 || !strings.Contains(p.Skipped[0].Why, "replayed 5 times") {
				t.Errorf("skipped %+v", p.Skipped)
			}
		}
		settled, b.After, b.Upto = settled+p.Settled, p.After, p.Upto
	}
	open, err := d.List(t.Context(), driver.Filter{}, 0, 0)
	if err != nil || settled != 24 || batches != 3 || len(open) != 2 {
		t.Fatalf("%d settled in %d batches, %d acts, open %+v, %v", settled, batches, len(d.trail), open, err)
	}
	d.replayed(t, "mended", func(id int64) bool { return id <= 25 && id != 8 })
}

// replayed checks that the trail has one row for each letter that was replayed, in their order, saying who, what and why, and no
// other.
func (d *desk) replayed(t *testing.T, why string, want func(id int64) bool) {
	t.Helper()
	all, err := d.List(t.Context(), driver.Filter{All: true}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	trail := d.trail
	for _, l := range all {
		if !want(l.ID) {
			continue
		}
		if len(trail) == 0 {
			t.Fatalf("the trail of %d rows ends before letter %d", len(d.trail), l.ID)
		}
		a := trail[0]
		trail = trail[1:]
		if a.Who != "op" || a.Act != ActReplay || a.Object != fmt.Sprintf("dead-letter/%d", l.ID) || a.Why != why || !strings.Contains(a.Before, `"dead"`) ||
			!strings.Contains(a.After, `"replayed"`) || l.State != driver.Replayed {
			t.Errorf("letter %d is %s, its row of the trail %+v", l.ID, l.State, a)
		}
	}
	if len(trail) > 0 {
		t.Errorf("%d rows too many: %+v", len(trail), trail[0])
	}
}

// Replays of a run are as far apart as its rate says.
func TestReplayAllIsPaced(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	c := &eager{now: start}
	d.clock2(c)
	for n := range 11 {
		d.letter(t, n, 0)
	}
	p, err := d.ReplayAll(t.Context(), "op", Bulk{Rate: 4, Reason: "mended"})
	if took := c.Now().Sub(start); err != nil || p.Settled != 11 || took < 2500*time.Millisecond {
		t.Fatalf("%+v in %v, %v", p, took, err)
	}
	if _, err = d.ReplayAll(t.Context(), "op", Bulk{Rate: 51}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a rate above the server's: %v", err)
	}
}

// clock2 runs the desk on another clock.
func (d *desk) clock2(c *eager) { d.DeadLetters.clock = c }

// A discard by filter takes what the filter lets through, needs a reason, and stops with an explanation when the trail is full.
func TestDiscardAll(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	for n := range 4 {
		d.letter(t, n, 0)
	}
	_, err := d.DiscardAll(t.Context(), "op", Bulk{})
	wantCode(t, err, errs.Invalid)
	p, err := d.DiscardAll(t.Context(), "op", Bulk{Filter: driver.Filter{Key: "order-ann-2"}, Reason: "sent twice"})
	if err != nil || p.Settled != 1 || !p.Done || len(d.trail) != 1 || d.trail[0].Object != "dead-letter/3" {
		t.Fatalf("%+v, %v, trail %+v", p, err, d.trail)
	}
	d.deny = errors.New("trail is full")
	if p, err = d.DiscardAll(t.Context(), "op", Bulk{Reason: "x"}); err == nil || p.Settled != 0 {
		t.Fatalf("without a trail: %+v, %v", p, err)
	}
}

// An edited message is a new one that names the old, has its place in the queue, and is on record with both payloads.
func TestEditIsANewMessage(t *testing.T) {
	t.Parallel()
	h := &recorder{verdict: func(m driver.Message) error {
		if string(m.Payload) != `{"mended":true}` {
			return fmt.Errorf("%w: cannot read it", ErrPoison)
		}
		return nil
	}}
	var trail []Act
	r := setup(t, Options{Audit: func(_ context.Context, a Act) error { trail = append(trail, a); return nil }}, h.handle)
	m := message("ann", 0)
	m.Headers = map[string]string{HeaderVersion: "7", "traceId": "t"}
	r.log.Append(m)
	r.drain()
	letters := r.bus.DeadLetters()
	id := r.letters()[0].ID
	for _, bad := range []string{"", "[1]", "null", "{", `{"v":9}`} {
		_, err := letters.Edit(t.Context(), "op", id, Edit{Payload: []byte(bad), Version: "1", Reason: "mend"})
		wantCode(t, err, errs.Invalid)
	}
	_, err := letters.Edit(t.Context(), "op", id, Edit{Payload: []byte(`{}`), Version: "1"})
	wantCode(t, err, errs.Invalid)
	next, err := letters.Edit(t.Context(), "op", id, Edit{Payload: []byte(`{"mended":true}`), Version: "1", Reason: "mend"})
	if err != nil {
		t.Fatal(err)
	}
	if next.ID == m.ID || next.User != "ann" || next.Key != m.Key || next.Headers[HeaderReplayOf] != m.ID || next.Headers[HeaderReason] != "" ||
		next.Headers[HeaderVersion] != "1" || next.Headers["traceId"] != "t" {
		t.Errorf("the new message is %+v", next)
	}
	_, err = letters.Edit(t.Context(), "op", id, Edit{Payload: []byte(`{}`), Version: "1", Reason: "again"})
	wantCode(t, err, errs.Conflict)
	r.drain()
	if seen := h.seen(); seen[len(seen)-1] != next.ID {
		t.Errorf("handled %v", seen)
	}
	if l := r.letters(); len(l) != 1 || l[0].State != driver.Replayed || !strings.Contains(l[0].Note, next.ID) {
		t.Errorf("letters %+v", l)
	}
	var before, after struct {
		Message string
		Payload any
	}
	if len(trail) != 1 || trail[0].Act != ActEdit || json.Unmarshal([]byte(trail[0].Before), &before) != nil || json.Unmarshal([]byte(trail[0].After), &after) != nil ||
		before.Message != "ann-0" || before.Payload != "ann-0" || after.Message != next.ID || fmt.Sprint(after.Payload) != "map[mended:true]" {
		t.Errorf("trail %+v", trail)
	}
}

// What a contract does not cover is said in words that tell what to do; what it covers passes.
func TestContract(t *testing.T) {
	t.Parallel()
	c := Contract{Versions: []int{2, 3}, Types: []string{"a"}}
	for _, k := range []struct{ kind, version, payload, want string }{
		{"a", "2", `{}`, ""}, {"a", "", `{"v":3}`, ""}, {"a", "3", ` {"v":3,"x":[1]} `, ""},
		{"b", "2", `{}`, `its type is "b", none of a`},
		{"a", "4", `{}`, "newer than this consumer, which understands 2, 3: upgrade"},
		{"a", "", `{}`, "version 1 is not understood by this consumer, only 2, 3"},
		{"a", "2", `{"v":3}`, "header says version 2 and its payload says v = 3"},
		{"a", "-1", `{}`, `"-1", not a whole number`}, {"a", "two", `{}`, `"two", not a whole number`}, {"a", "2", `{"v":"2"}`, "not a whole number"},
		{"a", "2", ``, "its payload is empty"}, {"a", "2", `{"x":`, "is no JSON: unexpected end of JSON input at byte 5"},
		{"a", "2", `[1]`, "its payload is a JSON array"}, {"a", "2", `"x"`, "a JSON string"}, {"a", "2", `null`, "no JSON object"},
	} {
		err := c.Check(&driver.Message{Type: k.kind, Payload: []byte(k.payload), Headers: map[string]string{HeaderVersion: k.version}})
		if k.want == "" && err != nil || k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want)) {
			t.Errorf("%s version %q %s: %v, want %q", k.kind, k.version, k.payload, err, k.want)
		}
	}
	if err := (Contract{Free: true}).Check(&driver.Message{}); err != nil {
		t.Errorf("a free contract: %v", err)
	}
}
