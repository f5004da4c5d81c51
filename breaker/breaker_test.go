package breaker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"penstock/errs"
)

var errDown = errors.New("down")

func open(t testing.TB, o Options) *Breaker {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call makes one call and reports whether it was allowed.
func call(b *Breaker, err error, took time.Duration) bool {
	done, refused := b.Allow()
	if refused != nil {
		return false
	}
	done(err, took)
	return true
}

// Five failures in a row open it, a success between them does not count as one; after its time two successes close it, one
// failure opens it again.
func TestStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		b := open(t, Options{OnChange: func(from, to State) { seen = append(seen, fmt.Sprint(from, ">", to)) }})
		for _, err := range []error{errDown, errDown, errDown, errDown, nil, errDown, errDown, errDown, errDown} {
			call(b, err, 0)
		}
		if b.State() != Closed {
			t.Fatal("it opened without five failures in a row")
		}
		call(b, errDown, 0)
		time.Sleep(59 * time.Second)
		if b.State() != Open || call(b, nil, 0) {
			t.Fatalf("after five failures: %v", b.State())
		}
		time.Sleep(time.Second)
		if !call(b, nil, 0) || b.State() != HalfOpen || !call(b, errDown, 0) || b.State() != Open {
			t.Fatalf("a failed trial left it %v", b.State())
		}
		time.Sleep(time.Minute)
		first, second := call(b, nil, 0), call(b, nil, 0)
		if !first || !second || b.State() != Closed {
			t.Fatalf("two good trials left it %v", b.State())
		}
		want := []string{"closed>open", "open>half-open", "half-open>open", "open>half-open", "half-open>closed"}
		if !slices.Equal(seen, want) {
			t.Errorf("told %v, want %v", seen, want)
		}
	})
}

// Failures within a window count even with successes between them, and leave with it.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Options{Failures: 3, Window: 10 * time.Second})
		for range 2 {
			call(b, errDown, 0)
			call(b, nil, 0)
		}
		time.Sleep(11 * time.Second)
		call(b, errDown, 0)
		if b.State() != Closed {
			t.Fatal("failures before the window count")
		}
		for range 2 {
			call(b, nil, 0)
			call(b, errDown, 0)
		}
		if b.State() != Open {
			t.Fatal("three failures within the window did not open it")
		}
	})
}

// A call that takes too long is a failure though it succeeded.
func TestSlowCalls(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Failures: 2, Slow: time.Second})
	call(b, nil, time.Second)
	call(b, nil, time.Second)
	if b.State() != Closed {
		t.Fatal("calls at the bound count as slow")
	}
	call(b, nil, time.Second+1)
	call(b, nil, time.Hour)
	if b.State() != Open {
		t.Fatal("slow calls do not count")
	}
}

// However many come at once when its time is over, one trial is out at a time.
func TestOneTrialAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Options{Failures: 1, Successes: 20, Open: time.Second})
		call(b, errDown, 0)
		time.Sleep(time.Second)
		var out, most, trials atomic.Int32
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				done, err := b.Allow()
				if err != nil {
					return
				}
				if n := out.Add(1); n > most.Load() {
					most.Store(n)
				}
				trials.Add(1)
				time.Sleep(time.Millisecond)
				out.Add(-1)
				done(nil, 0)
			})
		}
		wg.Wait()
		if trials.Load() != 1 || most.Load() != 1 || b.State() != HalfOpen {
			t.Errorf("%d trials, %d at once, then %v", trials.Load(), most.Load(), b.State())
		}
	})
}

// The end of a call that began before the state changed decides nothing, and a second end of one call neither.
func TestStaleResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Options{Failures: 1, Open: time.Second})
		early, _ := b.Allow()
		late, _ := b.Allow()
		call(b, errDown, 0)
		time.Sleep(time.Second)
		trial, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		early(errDown, 0)
		if b.State() != HalfOpen {
			t.Fatalf("a failure from before left it %v", b.State())
		}
		if _, err = b.Allow(); err == nil {
			t.Fatal("a result from before let a second trial out")
		}
		late(nil, 0)
		trial(nil, 0)
		trial(nil, 0)
		if b.State() != HalfOpen {
			t.Fatalf("one success and its echo left it %v", b.State())
		}
		call(b, nil, 0)
		if b.State() != Closed {
			t.Fatalf("two successes left it %v", b.State())
		}
	})
}

// An operator holds it open for as long as he likes and closes it whenever he likes.
func TestOperator(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Options{Failures: 2, Open: time.Second})
		before, _ := b.Allow()
		b.Trip()
		time.Sleep(time.Hour)
		if call(b, nil, 0) || b.State() != Open || !b.Forced() {
			t.Fatal("it opened by itself")
		}
		b.Reset()
		before(errDown, 0)
		if !call(b, errDown, 0) || b.State() != Closed || b.Forced() {
			t.Fatal("a reset left it shut")
		}
		b.Reset()
		if call(b, errDown, 0); b.State() != Closed {
			t.Fatal("a reset did not forget a failure")
		}
	})
}

// A refusal says that nothing was executed and when to come back.
func TestRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Options{Failures: 1, Open: 30 * time.Second})
		call(b, errDown, 0)
		time.Sleep(10 * time.Second)
		_, err := b.Allow()
		e, ok := errors.AsType[*errs.Error](err)
		if !ok || e.Code != errs.ReducedCapacity || e.RetryAfter != 20*time.Second {
			t.Errorf("refused with %+v", err)
		}
	})
}

// It agrees with a simple model under any sequence of calls that overlap, ends, waits and acts of an operator.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := model{failures: rapid.IntRange(1, 4).Draw(t, "failures"), successes: rapid.IntRange(1, 3).Draw(t, "successes"), state: Closed}
		b, err := New(Options{Failures: m.failures, Successes: m.successes, Open: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		var out []func(bool)
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			switch what := rapid.IntRange(0, 9).Draw(t, "what"); {
			case what < 4:
				done, err := b.Allow()
				age, ok := m.allow()
				if ok != (err == nil) {
					t.Fatalf("allowed=%v, the model says %v", err == nil, ok)
				}
				if ok {
					out = append(out, func(good bool) {
						done(map[bool]error{false: errDown}[good], 0)
						m.end(age, good)
					})
				}
			case what < 8 && len(out) > 0:
				i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				out[i](rapid.Bool().Draw(t, "good"))
				out = slices.Delete(out, i, i+1)
			case what == 8:
				b.Reset()
				m = model{failures: m.failures, successes: m.successes, state: Closed, age: m.age + 1}
			case what == 9 && m.state == Open: // its time is over
				b.mu.Lock()
				b.inner.HalfOpen()
				b.mu.Unlock()
				m.to(HalfOpen)
			}
			if got := b.State(); got != m.state {
				t.Fatalf("%v, the model says %v", got, m.state)
			}
		}
	})
}

type model struct {
	failures, successes int
	state               State
	age                 int
	row                 []bool
	trial               bool
}

func (m *model) to(s State) { m.state, m.row, m.trial, m.age = s, nil, false, m.age+1 }

func (m *model) allow() (int, bool) {
	if m.state == Open || m.trial {
		return 0, false
	}
	m.trial = m.state == HalfOpen
	return m.age, true
}

func (m *model) end(age int, good bool) {
	if age != m.age {
		return
	}
	m.trial = false
	m.row = append(m.row, good)
	last := func(n int, what bool) bool {
		return len(m.row) >= n && !slices.Contains(m.row[len(m.row)-n:], !what)
	}
	switch {
	case m.state == Closed && last(m.failures, false), m.state == HalfOpen && !good:
		m.to(Open)
	case m.state == HalfOpen && last(m.successes, true):
		m.to(Closed)
	}
}

// A setting out of range is named with its value and an example.
func TestValidate(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Failures: -1}, {Successes: -2}, {Window: time.Millisecond}, {Open: 2 * time.Hour}, {Slow: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
