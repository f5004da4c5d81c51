package limit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"penstock/internal/clock"
	"penstock/limit/driver"
)

// counted is what a counter should say: the calls that it allowed, by the piece of time.
type counted map[int64]int

func (c counted) in(current int64) (n int) {
	for piece, calls := range c {
		if piece > current-parts-1 {
			n += calls
		}
	}
	return n
}

// Counters that give credit allow and refuse exactly what they would without: two that all calls share are taken together or not
// at all, and what is left is told as it is.
func TestCreditChangesNoDecision(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := clock.NewFake(start)
		per := time.Duration(rapid.IntRange(1, 60).Draw(t, "per")) * time.Second
		all, each := rapid.IntRange(2*ample+1, 4000).Draw(t, "all"), rapid.IntRange(2*ample+1, 3000).Draw(t, "each")
		rules := []Rule{{Name: "all", Rate: Rate{all, per}}, {Name: "each", By: []Dimension{ByAPI}, Rate: Rate{each, per}}}
		s, err := NewSet(rules, SetOptions{Clock: c})
		if err != nil {
			t.Fatal(err)
		}
		total, apis := counted{}, map[string]counted{"a": {}, "b": {}, "c": {}}
		for range rapid.IntRange(1, 12).Draw(t, "bursts") {
			api := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "api")
			for range rapid.IntRange(1, 1500).Draw(t, "calls") {
				piece := int64(c.Now().Sub(start))/((int64(per)+parts-1)/parts) + 1
				used, of := total.in(piece), apis[api].in(piece)
				want := used < all && of < each
				if d := s.Take(context.Background(), Subject{API: api}); d.Allowed != want {
					t.Fatalf("allowed=%v with %d of %d and %d of %d counted", d.Allowed, used, all, of, each)
				}
				if want {
					total[piece]++
					apis[api][piece]++
				}
			}
			c.Advance(time.Duration(rapid.Int64Range(0, int64(per)/3).Draw(t, "step")))
			if rapid.Bool().Draw(t, "credit stays") { // to be asked takes it back
				continue
			}
			piece := int64(c.Now().Sub(start))/((int64(per)+parts-1)/parts) + 1
			d := s.Explain(Subject{API: api})
			for i, left := range []int{all - total.in(piece), each - apis[api].in(piece)} {
				if got := d.Quotas[i].Remaining; d.Allowed && got != left-1 || !d.Allowed && got != left {
					t.Fatalf("%s says that %d are left, there are %d (allowed=%v)", d.Quotas[i].Name, got, left, d.Allowed)
				}
			}
		}
	})
}

// However many call at the same time, a counter that gives credit allows as many as its rate says: not one more, and not one less
// while calls come. Whoever another rule refuses takes nothing from it.
func TestCreditIsExactForManyCallers(t *testing.T) {
	t.Parallel()
	const calls = 2000
	c := clock.NewFake(start)
	s, err := NewSet([]Rule{
		{Name: "user", By: []Dimension{ByUser}, Rate: Rate{40, time.Minute}},
		{Name: "all", Rate: Rate{3 * calls, time.Minute}},
		{Name: "api", By: []Dimension{ByAPI}, Rate: Rate{calls, time.Minute}},
	}, SetOptions{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		var allowed atomic.Int64
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range calls {
					if s.Take(context.Background(), Subject{User: fmt.Sprint(g, "-", i/30, "-", round), API: "a"}).Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != calls {
			t.Errorf("%d of %d calls were allowed", n, calls)
		}
		if q := s.Explain(Subject{API: "b"}).Quotas; q[0].Remaining != 3*calls-calls-1 {
			t.Errorf("%d are left for all, want %d", q[0].Remaining, 2*calls-1)
		}
		c.Advance(2 * time.Minute)
	}
}

// A call that a later counter refuses gives its credit back.
func TestCreditIsRepaid(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	s, err := NewSet([]Rule{
		{Name: "all", Rate: Rate{3000, time.Minute}},
		{Name: "few", By: []Dimension{ByAPI}, Algorithm: driver.TokenBucket, Rate: Rate{1, time.Minute}, Burst: 1},
	}, SetOptions{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		s.Take(context.Background(), Subject{API: fmt.Sprint(i % 50)})
	}
	if q := s.Explain(Subject{API: "other"}).Quotas; q[0].Remaining != 3000-50-1 {
		t.Errorf("%d are left after 50 calls of 3000", q[0].Remaining)
	}
}

// Credit is good for the piece of time in which it was counted: later calls count later.
func TestOldCreditIsNotTaken(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	s, err := NewSet([]Rule{{Name: "all", Rate: Rate{3000, time.Minute}}}, SetOptions{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	call := func(n int) {
		for range n {
			s.Take(context.Background(), Subject{API: "a"})
		}
	}
	call(lanes * credit)
	c.Advance(30 * time.Second)
	call(100)
	c.Advance(35 * time.Second)
	if q := s.Explain(Subject{API: "a"}).Quotas; q[0].Remaining != 3000-100-1 {
		t.Errorf("%d are left after 100 calls within the minute", q[0].Remaining)
	}
}

// What a rule has counted and refused is told as it was, credit or not.
func TestCounts(t *testing.T) {
	t.Parallel()
	s, err := NewSet([]Rule{
		{Name: "user", By: []Dimension{ByUser}, Rate: Rate{2, time.Minute}},
		{Name: "all", Rate: Rate{3000, time.Minute}},
	}, SetOptions{Clock: clock.NewFake(start)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 900 {
		s.Take(context.Background(), Subject{User: fmt.Sprint(i % 300)})
	}
	want := []Count{{Rule: "user", Allowed: 600, Refused: 300}, {Rule: "all", Allowed: 600}}
	if got := s.Counts(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// A fault while counters are locked is that call's alone: those that come next are decided.
func TestAPanicLeavesNothingLocked(t *testing.T) {
	t.Parallel()
	s, err := NewSet([]Rule{{Name: "user", By: []Dimension{ByUser}, Rate: Rate{2, time.Minute}}, {Name: "all", Rate: Rate{5, time.Minute}}}, SetOptions{Clock: clock.NewFake(start)})
	if err != nil {
		t.Fatal(err)
	}
	whole := s.rules[1].normal
	s.rules[1].normal = &meter{window: window{cells: maxCells + 1}} // more than there are
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the fault was none")
			}
		}()
		s.Take(context.Background(), Subject{User: "ann"})
	}()
	s.rules[1].normal = whole
	done := make(chan bool)
	go func() { done <- s.Take(context.Background(), Subject{User: "ann"}).Allowed }()
	select {
	case allowed := <-done:
		if !allowed {
			t.Error("the next call is refused")
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the next call waits for a lock that nobody holds")
	}
}
