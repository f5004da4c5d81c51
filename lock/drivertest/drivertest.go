// Package drivertest is the contract of lock/driver: every driver passes the same tests, on its real store.
package drivertest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/lock/driver"
)

const long = time.Minute

// Run runs the contract. open returns a driver over one store, each time the same store; the names used are fresh, so the store
// need not be empty.
func Run(t *testing.T, open func(testing.TB) driver.Driver) {
	for name, check := range map[string]func(*testing.T, bench){
		"one owner at a time":                   oneOwner,
		"taking again as owner renews":          takeAgain,
		"a lapsed lock is free":                 lapse,
		"only the owner renews":                 renewal,
		"only the owner releases":               releasing,
		"a release wakes who waits":             waking,
		"a release just before waiting counts":  early,
		"waiting ends with its time or context": patience,
		"owners never overlap":                  overlap,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			t.Cleanup(cancel)
			check(t, bench{Driver: open(t), t: t, ctx: ctx, name: fmt.Sprintf("%s:%d", "drivertest", time.Now().UnixNano())})
		})
	}
}

// bench is one test's driver and name.
type bench struct {
	driver.Driver
	t    *testing.T
	ctx  context.Context
	name string
}

func (b bench) take(owner string, ttl time.Duration) time.Duration {
	b.t.Helper()
	left, err := b.Take(b.ctx, b.name, owner, ttl)
	if err != nil {
		b.t.Fatal(err)
	}
	return left
}

func (b bench) renew(owner string, ttl time.Duration) bool {
	b.t.Helper()
	ok, err := b.Renew(b.ctx, b.name, owner, ttl)
	if err != nil {
		b.t.Fatal(err)
	}
	return ok
}

func (b bench) release(owner string) bool {
	b.t.Helper()
	ok, err := b.Release(b.ctx, b.name, owner)
	if err != nil {
		b.t.Fatal(err)
	}
	return ok
}

func (b bench) want(what string, got, want bool) {
	b.t.Helper()
	if got != want {
		b.t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func oneOwner(t *testing.T, b bench) {
	b.want("a free name is given", b.take("a", long) == 0, true)
	left := b.take("b", time.Hour)
	b.want("a taken name says what is left of the owner's time", left > long/2 && left <= long, true)
	b.want("the owner still has it", b.renew("a", long), true)
}

func takeAgain(t *testing.T, b bench) {
	b.want("first", b.take("a", long) == 0, true)
	b.want("again", b.take("a", 2*long) == 0, true)
	b.want("the time is the later one", b.take("b", long) > long, true)
}

func lapse(t *testing.T, b bench) {
	b.want("given", b.take("a", 30*time.Millisecond) == 0, true)
	for b.take("b", long) != 0 {
		if err := b.Await(b.ctx, b.name, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	b.want("the old owner renews", b.renew("a", long), false)
	b.want("the old owner releases", b.release("a"), false)
	b.want("the new owner renews", b.renew("b", long), true)
}

func renewal(t *testing.T, b bench) {
	b.want("nobody's name is renewed", b.renew("a", long), false)
	b.take("a", time.Second)
	b.want("a stranger renews", b.renew("b", time.Hour), false)
	b.want("the stranger changed nothing", b.take("c", long) <= time.Second, true)
	b.want("the owner renews", b.renew("a", long), true)
	b.want("the time is the new one", b.take("c", long) > time.Second, true)
}

func releasing(t *testing.T, b bench) {
	b.want("nobody's name is released", b.release("a"), false)
	b.take("a", long)
	b.want("a stranger releases", b.release("b"), false)
	b.want("it is still taken", b.take("b", long) > 0, true)
	b.want("the owner releases", b.release("a"), true)
	b.want("a second time", b.release("a"), false)
	b.want("it is free", b.take("b", long) == 0, true)
}

func waking(t *testing.T, b bench) {
	b.take("a", long)
	woken := make(chan error, 1)
	go func() { woken <- b.Await(b.ctx, b.name, long) }()
	select { // whichever of the two comes first, the wait must end by the release
	case err := <-woken:
		t.Fatalf("woken by nothing: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	b.release("a")
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	b.want("it is free", b.take("b", long) == 0, true)
}

func early(t *testing.T, b bench) {
	b.take("a", long)
	b.take("b", long)
	b.release("a")
	if err := b.Await(b.ctx, b.name, long); err != nil { // the bench's context ends long before
		t.Fatal(err)
	}
}

func patience(t *testing.T, b bench) {
	b.take("a", long)
	if err := b.Await(b.ctx, b.name, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
	defer cancel()
	b.want("an ended context is an error", b.Await(ctx, b.name, long) != nil, true)
}

// overlap has many owners take, wait and release as fast as they can.
func overlap(t *testing.T, b bench) {
	var inside, turns atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := 0; n < 20; {
				owner := fmt.Sprintf("%d-%d", i, n)
				left, err := b.Take(b.ctx, b.name, owner, long)
				if err == nil && left > 0 {
					err = b.Await(b.ctx, b.name, min(left, long))
				} else if err == nil {
					if inside.Add(1) != 1 {
						t.Error("two owners at once")
					}
					n++
					turns.Add(1)
					inside.Add(-1)
					_, err = b.Release(b.ctx, b.name, owner)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if turns.Load() != 160 {
		t.Errorf("%d turns, want 160", turns.Load())
	}
}
