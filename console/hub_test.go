package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"penstock/errs"
)

// room is a hub with topics "n:<arg>" that count their looks, and "fixed", which never changes.
type room struct {
	*Hub
	n      atomic.Int64 // what the topics n tell
	looks  atomic.Int64
	opened atomic.Int64
	fail   atomic.Bool
}

func setup(t *testing.T) *room {
	r := &room{}
	r.Hub = New(map[string]Kind{
		"n": {Open: func(_ context.Context, arg string) (Source, func(), error) {
			if arg == "missing" {
				return nil, nil, errs.New(errs.NotFound, "no such thing")
			}
			r.opened.Add(1)
			return func(context.Context) (any, error) {
				r.looks.Add(1)
				if r.fail.Load() {
					return nil, errors.New("down")
				}
				return r.n.Load(), nil
			}, func() { r.opened.Add(-1) }, nil
		}},
		"fixed": {Open: func(context.Context, string) (Source, func(), error) {
			return func(context.Context) (any, error) { return "same", nil }, nil, nil
		}},
	}, Options{})
	t.Cleanup(r.Stop)
	return r
}

func watch(t *testing.T, h *Hub, last string, names ...string) *Watch {
	t.Helper()
	w, err := h.Watch(t.Context(), names, last)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func next(t *testing.T, w *Watch, quiet time.Duration) string {
	t.Helper()
	texts, err := w.Next(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, x := range texts {
		b.Write(x)
	}
	return b.String()
}

// A page is told the present at once, then at most four times a second, and only what has changed.
func TestPageIsToldWhatChangesAtMostFourTimesASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		w := watch(t, r.Hub, "", "n:a", "fixed")
		synctest.Wait()
		if got := next(t, w, time.Second); strings.Count(got, "\n\n") != 2 || !strings.Contains(got, `data: {"topic":"n:a","now":0}`) || !strings.Contains(got, "event: fixed\n") {
			t.Errorf("first: %q", got)
		}
		stop := time.Now().Add(5 * time.Second)
		told := 0
		for time.Now().Before(stop) {
			r.n.Add(1)
			if got := next(t, w, time.Second); strings.Contains(got, "fixed") {
				t.Errorf("told what has not changed: %q", got)
			}
			told++
		}
		if told > 21 || told < 19 {
			t.Errorf("%d updates in five seconds", told)
		}
		if got := next(t, w, time.Second); got != "" && next(t, w, time.Second) != "" {
			t.Errorf("told though nothing changes: %q", got)
		}
	})
}

// Who reads slowly gets the newest state and nothing of what was in between.
func TestSlowReaderGetsTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		w := watch(t, r.Hub, "", "n:a")
		for range 100 {
			r.n.Add(1)
			time.Sleep(250 * time.Millisecond)
		}
		synctest.Wait()
		if got := next(t, w, time.Second); strings.Count(got, "data:") != 1 || !strings.Contains(got, `"now":100`) {
			t.Errorf("got %q", got)
		}
	})
}

// A page that comes back with the id of its last event is told what is newer, and all when another hub gave the id.
func TestResume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		other := watch(t, r.Hub, "", "n:a", "fixed") // keeps the topics alive
		synctest.Wait()
		first := next(t, other, time.Second)
		id := first[strings.LastIndex(first, "id: ")+4:]
		id = id[:strings.Index(id, "\n")]
		r.n.Add(1)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := next(t, watch(t, r.Hub, id, "n:a", "fixed"), time.Second); !strings.Contains(got, `"now":1`) || strings.Contains(got, "fixed") {
			t.Errorf("after %s: %q", id, got)
		}
		for _, foreign := range []string{"other-1", "x", r.epoch + "-999", r.epoch + "-"} {
			if got := next(t, watch(t, r.Hub, foreign, "n:a", "fixed"), time.Second); strings.Count(got, "data:") != 2 {
				t.Errorf("after %s: %q", foreign, got)
			}
		}
	})
}

// A topic is looked at by one producer however many watch, and by none once the last has gone.
func TestOneProducerWhileWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		var all []*Watch
		for range 50 {
			all = append(all, watch(t, r.Hub, "", "n:a"))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := r.looks.Load(); r.opened.Load() != 1 || n > 10 {
			t.Errorf("opened %d times, %d looks in two seconds", r.opened.Load(), n)
		}
		for _, w := range all {
			w.Close()
			w.Close()
		}
		synctest.Wait()
		before := r.looks.Load()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r.opened.Load() != 0 || r.looks.Load() != before || r.Watchers() != 0 {
			t.Errorf("still open: %d, looks %d after %d, watchers %d", r.opened.Load(), r.looks.Load(), before, r.Watchers())
		}
	})
}

// Many watchers slow the pace down, so that all together are told no more than a thousand times a second.
func TestManyWatchersSlowDown(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for range 1000 {
		watch(t, r.Hub, "", "fixed")
	}
	if got := r.pace(); got != time.Second {
		t.Errorf("a thousand watchers are told every %v", got)
	}
}

// A source that fails is told as such, never as the state before.
func TestFailureIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		w := watch(t, r.Hub, "", "n:a")
		synctest.Wait()
		next(t, w, time.Second)
		r.fail.Store(true)
		if got := next(t, w, time.Second); !strings.Contains(got, `"error":"cannot be read now"`) || strings.Contains(got, "down") {
			t.Errorf("got %q", got)
		}
		r.fail.Store(false)
		if got := next(t, w, time.Second); !strings.Contains(got, `"now":0`) {
			t.Errorf("got %q", got)
		}
	})
}

// Topics that do not exist, none and too many are refused, and what was joined before the refusal is left again.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		many := make([]string, MaxTopics+1)
		for i := range many {
			many[i] = fmt.Sprint("n:", i)
		}
		for code, names := range map[errs.Code][]string{errs.Invalid: {"n:a", "nothing"}, errs.NotFound: {"n:a", "n:missing"}} {
			if _, err := r.Watch(t.Context(), names, ""); errs.CodeOf(err) != code {
				t.Errorf("%v: %v", names, err)
			}
		}
		for _, names := range [][]string{nil, many, {"n:" + strings.Repeat("x", 200)}} {
			if _, err := r.Watch(t.Context(), names, ""); errs.CodeOf(err) != errs.Invalid {
				t.Errorf("%v: %v", names, err)
			}
		}
		synctest.Wait()
		if r.opened.Load() != 0 || len(r.topics) != 0 {
			t.Errorf("%d topics left open", r.opened.Load())
		}
		w := watch(t, r.Hub, "", "n:a", "n:a")
		next(t, w, time.Second)
		r.Stop()
		r.Stop()
		if _, err := w.Next(t.Context(), time.Second); !errors.Is(err, ErrEnded) {
			t.Errorf("after the stop: %v", err)
		}
		if _, err := r.Watch(t.Context(), []string{"fixed"}, ""); errs.CodeOf(err) != errs.ReducedCapacity {
			t.Errorf("after the stop: %v", err)
		}
	})
}

// BenchmarkUpdate is one change told to a thousand pages: what all streams cost beside their writes.
func BenchmarkUpdate(b *testing.B) {
	h := New(map[string]Kind{"n": {Open: func(context.Context, string) (Source, func(), error) {
		return func(context.Context) (any, error) { return 0, nil }, nil, nil
	}}}, Options{})
	defer h.Stop()
	var all []*Watch
	for range 1000 {
		w, err := h.Watch(b.Context(), []string{"n:a"}, "")
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, w)
	}
	t := all[0].topics[0]
	data := []byte(`{"topic":"n:a"}`)
	for b.Loop() {
		t.tell(data)
		for _, w := range all {
			<-w.wake
			if len(w.take()) != 1 {
				b.Fatal("not told")
			}
		}
	}
}
