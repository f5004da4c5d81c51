package bus

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
	"penstock/errs"
	"penstock/internal/clock"
)

// testStore is a store with its file.
type testStore struct {
	*sqlstore.Store
	db *sqlite.DB
}

func newStore(t *testing.T) *testStore {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "bus.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testStore{sqlstore.New(db), db}
}

// desk is the dead-letter service with its trail.
type desk struct {
	*DeadLetters
	store *testStore
	clock *clock.Fake
	trail []Act
	deny  error
}

func newDesk(t *testing.T, o Options) *desk {
	d := &desk{store: newStore(t), clock: clock.NewFake(start)}
	o.Clock = d.clock
	o.Audit = func(_ context.Context, a Act) error {
		known := func(b Act) bool { return a.ID != "" && a.ID == b.ID } // the stock keeps an id once
		if d.deny == nil && !slices.ContainsFunc(d.trail, known) {
			d.trail = append(d.trail, a)
		}
		return d.deny
	}
	d.DeadLetters = newDeadLetters(d.store, o.withDefaults())
	return d
}

// letter buries a message of ann that has come back replays times.
func (d *desk) letter(t *testing.T, n, replays int) int64 {
	t.Helper()
	p := driver.Parked{Message: message("ann", n), Replays: replays}
	p.Message.Topic = testTopic
	l := &driver.DeadLetter{Message: p.Message, Reason: "boom", Attempts: 4, Replays: replays}
	if err := d.store.Settle(t.Context(), testGroup, []driver.Outcome{{Parked: p, Dead: l}}); err != nil {
		t.Fatal(err)
	}
	all, err := d.List(t.Context(), driver.Filter{All: true}, 0, 1000)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all[len(all)-1].ID
}

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if !errs.Is(err, code) {
		t.Fatalf("got %v, wanted %s", err, code)
	}
}

// A replayed message is handled again, and one that dies again becomes a new letter that counts its replays.
func TestReplayHandlesAgain(t *testing.T) {
	t.Parallel()
	mended := false
	h := &recorder{verdict: func(driver.Message) error {
		if mended {
			return nil
		}
		return errors.New("not mended")
	}}
	r := setup(t, Options{}, h.handle)
	r.log.Append(message("ann", 0))
	r.drain()
	for replays := range 2 {
		all := r.letters()
		last := all[len(all)-1]
		if len(all) != replays+1 || last.State != driver.Dead || last.Replays != replays {
			t.Fatalf("letters %+v", all)
		}
		if err := r.bus.DeadLetters().Replay(t.Context(), "op", last.ID, "try again"); err != nil {
			t.Fatal(err)
		}
		mended = replays == 1
		r.drain()
	}
	if all := r.letters(); len(all) != 2 || all[0].State != driver.Replayed || all[1].State != driver.Replayed {
		t.Fatalf("letters %+v", all)
	}
	if n := len(h.seen()); n != 4+4+1 {
		t.Fatalf("handled %d times", n)
	}
}

// A message that has come back too often is refused with an explanation and stays where it is.
func TestReplayLoopIsGuarded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	if err := d.Replay(t.Context(), "op", d.letter(t, 0, 4), ""); err != nil {
		t.Fatal(err)
	}
	id := d.letter(t, 1, 5)
	wantCode(t, d.Replay(t.Context(), "op", id, ""), errs.Conflict)
	if l, err := d.Get(t.Context(), id); err != nil || l.State != driver.Dead {
		t.Fatal(l, err)
	}
}

// Replays above the rate are refused, say when to come back, and succeed then; a refused one uses nothing up.
func TestReplayRate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{ReplayRate: 2})
	for n := range 2 {
		if err := d.Replay(t.Context(), "op", d.letter(t, n, 0), ""); err != nil {
			t.Fatal(err)
		}
	}
	id := d.letter(t, 2, 0)
	for range 10 {
		err := d.Replay(t.Context(), "op", id, "")
		wantCode(t, err, errs.QuotaExceeded)
		e, _ := errors.AsType[*errs.Error](err)
		if e.RetryAfter != 500*time.Millisecond {
			t.Fatalf("retry after %v", e.RetryAfter)
		}
	}
	if len(d.trail) != 2 {
		t.Fatalf("%d acts on record, wanted the 2 that were done", len(d.trail))
	}
	d.clock.Advance(500 * time.Millisecond)
	if err := d.Replay(t.Context(), "op", id, ""); err != nil {
		t.Fatal(err)
	}
}

// Every act is on record with who, when, why, before and after; without a record there is no act.
func TestActsAreAudited(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	id := d.letter(t, 0, 0)
	d.deny = errors.New("trail is full")
	if err := d.Discard(t.Context(), "op", id, "why not"); !errors.Is(err, d.deny) {
		t.Fatalf("discard without a record returned %v", err)
	}
	if l, err := d.Get(t.Context(), id); err != nil || l.State != driver.Dead {
		t.Fatal(l, err)
	}
	d.deny = nil
	if err := d.Discard(t.Context(), "op", id, "sent twice"); err != nil {
		t.Fatal(err)
	}
	want := []Act{{
		Who: "op", Act: ActDiscard, Object: "dead-letter/1", Why: "sent twice",
		Before: `{"group":"orders","topic":"stock","message":"ann-0","state":"dead","replays":0}`,
		After:  `{"group":"orders","topic":"stock","message":"ann-0","state":"discarded","replays":0}`,
	}}
	if diff := cmp.Diff(want, d.trail); diff != "" {
		t.Fatalf("trail (-want +got):\n%s", diff)
	}
}

// A message that came back is on record each time that somebody decides about it.
func TestEachDecisionIsOnRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	if err := d.Replay(t.Context(), "op", d.letter(t, 0, 0), "mended"); err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(t.Context(), "op", d.letter(t, 0, 1), "hopeless"); err != nil {
		t.Fatal(err)
	}
	if len(d.trail) != 2 || d.trail[1].Act != ActDiscard {
		t.Errorf("trail %+v, want the replay and the discard", d.trail)
	}
}

// racing settles the letter between the look and the act, as another operator may.
type racing struct{ driver.DeadLetters }

func (s racing) Replay(ctx context.Context, id int64, at time.Time) error {
	if err := s.Discard(ctx, id, "first", at); err != nil {
		return err
	}
	return s.DeadLetters.Replay(ctx, id, at)
}

// Of two operators who settle one letter at once, one is refused, and the trail says that his act was not done.
func TestRacingActsAreTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	id := d.letter(t, 0, 0)
	d.DeadLetters.store = racing{d.store}
	wantCode(t, d.Replay(t.Context(), "op", id, ""), errs.Conflict)
	if len(d.trail) != 2 || d.trail[1].Act != ActReplay+"-failed" || d.trail[1].After != d.trail[1].Before {
		t.Fatalf("trail %+v", d.trail)
	}
}

// What cannot be done is refused with the code that the caller can act on.
func TestRefusedActs(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Options{})
	id := d.letter(t, 0, 0)
	wantCode(t, d.Discard(t.Context(), "op", id, " \t"), errs.Invalid)
	wantCode(t, d.Discard(t.Context(), "op", id+1, "x"), errs.NotFound)
	wantCode(t, d.Replay(t.Context(), "op", id+1, "x"), errs.NotFound)
	_, err := d.Get(t.Context(), id+1)
	wantCode(t, err, errs.NotFound)
	if err := d.Replay(t.Context(), "op", id, ""); err != nil {
		t.Fatal(err)
	}
	wantCode(t, d.Replay(t.Context(), "op", id, ""), errs.Conflict)
	wantCode(t, d.Discard(t.Context(), "op", id, "x"), errs.Conflict)
}
