package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"penstock/bus/driver"
	"penstock/internal/fault"
)

// fate is what a message will do to its handler.
type fate struct {
	kind  string // "ok", "fail", "unavailable", "panic": times times, then ok; "forever", "poison": never ok
	times int
}

func (f fate) doomed() bool { return f.kind == "forever" || f.kind == "poison" }

// world is what happened, as the outside sees it: idempotent effects by message.
type world struct {
	rig     *rig
	fates   map[string]*fate
	users   map[string][]string // published ids in order
	offsets map[string]uint64
	effects map[string]int
	order   map[string][]string // effects in order
	broken  string
}

func (w *world) publish(user string, f fate) {
	m := message(user, len(w.users[user]))
	w.fates[m.ID] = &f
	w.users[user] = append(w.users[user], m.ID)
	w.offsets[m.ID] = uint64(len(w.offsets) + 1)
	w.rig.log.Append(m)
}

func (w *world) handle(_ context.Context, batch []driver.Message) []error {
	out := make([]error, len(batch))
	seen := map[string]bool{}
	for i, m := range batch {
		if seen[m.User] {
			w.broken = fmt.Sprintf("two messages of %s in one wave", m.User)
		}
		seen[m.User] = true
		out[i] = w.apply(m)
	}
	return out
}

func (w *world) apply(m driver.Message) error {
	f := w.fates[m.ID]
	switch {
	case f.kind == "poison":
		return fmt.Errorf("unreadable: %w", ErrPoison)
	case f.kind == "forever":
		return errors.New("no, never")
	case f.times > 0:
		f.times--
		switch f.kind {
		case "panic":
			panic("boom " + m.ID)
		case "unavailable":
			return fmt.Errorf("database away: %w", ErrUnavailable)
		}
		return errors.New("not now")
	}
	if w.effects[m.ID] > 0 {
		return nil
	}
	w.effects[m.ID]++
	w.order[m.User] = append(w.order[m.User], m.ID)
	w.earlierAreSettled(m)
	return nil
}

// earlierAreSettled checks at the moment of an effect that no earlier message of the user is still to come.
func (w *world) earlierAreSettled(m driver.Message) {
	var dead map[string]bool
	for _, id := range w.users[m.User] {
		if id == m.ID {
			return
		}
		if w.effects[id] > 0 {
			continue
		}
		if dead == nil {
			dead = w.rig.dead()
		}
		if !dead[id] {
			w.broken = fmt.Sprintf("%s took effect before %s was settled", m.ID, id)
		}
	}
}

// nothingIsLost checks the accounts: every published message has had its effect, is dead, is parked, or will be delivered.
func (w *world) nothingIsLost(t *rapid.T) {
	if w.broken != "" {
		t.Fatal(w.broken)
	}
	dead, parked, committed := w.rig.dead(), w.rig.parked(), w.rig.committed()
	for user, ids := range w.users {
		spotless := true
		for _, id := range ids {
			spotless = spotless && w.fates[id].kind == "ok"
		}
		for _, id := range ids {
			handled := w.effects[id] > 0
			ahead := w.offsets[id] > committed
			if !handled && !dead[id] && !parked[id] && !ahead {
				t.Fatalf("%s is lost: committed up to %d, its offset is %d", id, committed, w.offsets[id])
			}
			if w.fates[id].doomed() && handled {
				t.Fatalf("%s took effect though it cannot", id)
			}
			if !w.fates[id].doomed() && dead[id] {
				t.Fatalf("%s is dead though it would have succeeded", id)
			}
			if spotless && (parked[id] || (!ahead && !handled)) {
				t.Fatalf("%s of %s, who never failed, waits (parked: %v)", id, user, parked[id])
			}
		}
	}
}

// flaky fails calls of a store, before or after they were carried out.
type flaky struct {
	driver.Store
	plan func() (before, after bool)
}

var errFlaky = errors.New("store broke")

func (s flaky) do(f func() error) error {
	before, after := s.plan()
	if before {
		return errFlaky
	}
	if err := f(); err != nil || !after {
		return err
	}
	return errFlaky
}

func (s flaky) Park(ctx context.Context, group string, msgs []driver.Parked) error {
	return s.do(func() error { return s.Store.Park(ctx, group, msgs) })
}

func (s flaky) Settle(ctx context.Context, group string, outcomes []driver.Outcome) error {
	return s.do(func() error { return s.Store.Settle(ctx, group, outcomes) })
}

func (s flaky) Users(ctx context.Context, group string) (users []string, err error) {
	err = s.do(func() (err error) { users, err = s.Store.Users(ctx, group); return err })
	return users, err
}

func (s flaky) Parked(ctx context.Context, group string, now time.Time, limit int) (out []driver.Parked, err error) {
	err = s.do(func() (err error) { out, err = s.Store.Parked(ctx, group, now, limit); return err })
	return out, err
}

func newWorld(t *rapid.T, dir string, faulty *bool) *world {
	w := &world{
		fates: map[string]*fate{}, users: map[string][]string{}, offsets: map[string]uint64{}, effects: map[string]int{},
		order: map[string][]string{},
	}
	toss := func(label string) bool { return *faulty && rapid.IntRange(0, 5).Draw(t, label) == 0 }
	points := &fault.Points{}
	for _, p := range []string{PointHandled, PointParked, PointCommitted, PointRetried} {
		points.Set(p, func(int) error {
			if toss(p) {
				return errors.New("injected at " + p)
			}
			return nil
		})
	}
	o := Options{PollLimit: rapid.SampledFrom([]int{1, 3, 500}).Draw(t, "limit"), Fault: points}
	w.rig = newRig(t, dir, o, w.handle)
	w.rig.wrap = func(s driver.Store) driver.Store {
		return flaky{s, func() (bool, bool) { return toss("store fails before"), toss("store fails after") }}
	}
	w.restart()
	return w
}

func (w *world) restart() {
	w.rig.kill()
	w.rig.boot()
}

// Whatever fails in whatever order (messages, handlers, the store, the process): an effect happens exactly once, a user's
// effects keep their order and wait for a dead letter before them, users who never fail never wait, and at every moment
// produced = processed + parked + dead + still there.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		faulty := false
		w := newWorld(t, sub, &faulty)
		defer func() { w.rig.kill() }()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			w.publishSome(t)
			faulty = rapid.Bool().Draw(t, "faults")
			if err := w.rig.turn(); err != nil && !faulty {
				t.Fatal(err)
			}
			faulty = false
			w.nothingIsLost(t)
			if rapid.IntRange(0, 4).Draw(t, "kill") == 0 {
				w.restart()
			}
		}
		w.rig.drain()
		w.nothingIsLost(t)
		w.isComplete(t)
	})
}

func (w *world) publishSome(t *rapid.T) {
	for range rapid.IntRange(0, 8).Draw(t, "messages") {
		f := fate{kind: rapid.SampledFrom(strings.Fields("ok ok ok ok fail unavailable panic forever poison")).Draw(t, "kind")}
		switch f.kind {
		case "fail", "panic":
			f.times = rapid.IntRange(1, 3).Draw(t, "times")
		case "unavailable":
			f.times = rapid.IntRange(1, 6).Draw(t, "times")
		}
		w.publish(rapid.SampledFrom(strings.Fields("ann bob cid dee eve")).Draw(t, "user"), f)
	}
}

func (w *world) isComplete(t *rapid.T) {
	dead := w.rig.dead()
	want := map[string][]string{}
	for user, ids := range w.users {
		for _, id := range ids {
			if w.fates[id].doomed() != dead[id] {
				t.Fatalf("%s: doomed %v, dead %v", id, w.fates[id].doomed(), dead[id])
			}
			if !dead[id] {
				want[user] = append(want[user], id)
			}
		}
	}
	if d := cmp.Diff(want, w.order); d != "" {
		t.Fatalf("effects per user in order (-want +got):\n%s", d)
	}
	if got := len(w.rig.letters()); got != len(dead) || len(dead)+len(w.effects) != len(w.offsets) {
		t.Fatalf("produced %d, processed %d, dead %d in %d letters", len(w.offsets), len(w.effects), len(dead), got)
	}
}
