package lock_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"penstock/internal/clock"
	"penstock/lock"
	"penstock/lock/driver"
	"penstock/lock/memorylock"
)

// A store without answers, switched at will.
type flaky struct {
	driver.Driver
	mu     sync.Mutex
	down   bool
	renews int
	// renewed is when a renewal last succeeded.
	renewed time.Time
}

func (f *flaky) set(down bool) { f.mu.Lock(); f.down = down; f.mu.Unlock() }

func (f *flaky) Renew(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	f.mu.Lock()
	f.renews++
	down := f.down
	if !down {
		f.renewed = time.Now()
	}
	f.mu.Unlock()
	if down {
		return false, driver.ErrUnavailable
	}
	return f.Driver.Renew(ctx, name, owner, ttl)
}

func (f *flaky) renewals() int { f.mu.Lock(); defer f.mu.Unlock(); return f.renews }

// A grant is renewed at each third of its time to live, and so outlives it.
func TestWatchdogRenewsAtAThird(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Driver: memorylock.New(nil)}
		g := acquire(t, locker(t, f, &counter{}, lock.Options{}), "a")
		before := f.renewals()
		for i := range 6 {
			time.Sleep(10*time.Second - 3*time.Millisecond)
			synctest.Wait()
			early := f.renewals() - before
			time.Sleep(3 * time.Millisecond)
			synctest.Wait()
			if n := f.renewals() - before; early != i || n != i+1 {
				t.Errorf("%d renewals just before %d0 s and %d just after, want %d and %d", early, i+1, n, i, i+1)
			}
		}
		check(t, g.Err())
		if _, err := locker(t, f, &counter{}, lock.Options{}).TryAcquire(t.Context(), "a"); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("after a minute another gets %v, want ErrHeld", err)
		}
	})
}

// A grant that cannot be renewed ends when its lease is over, a little before the store lets others in; a failure that passes
// ends nothing.
func TestLeaseRunsOutWithoutRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Driver: memorylock.New(nil)}
		g := acquire(t, locker(t, f, &counter{}, lock.Options{}), "a")
		f.set(true)
		time.Sleep(25 * time.Second)
		f.set(false)
		time.Sleep(30 * time.Second)
		check(t, g.Err())
		f.set(true)
		last := f.renewals()
		time.Sleep(15 * time.Second)
		check(t, g.Err())
		<-g.Lost()
		if err := context.Cause(g.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("cause is %v, want ErrLost", err)
		}
		if n := f.renewals() - last; n < 3 || n > 10 {
			t.Errorf("renewal was tried %d times while the store was silent, want a few", n)
		}
		if d := time.Since(f.renewed); d < 28*time.Second || d >= 30*time.Second {
			t.Errorf("the grant ended %v after its last renewal, want just under 30 s", d)
		}
	})
}

// counter is a fence in memory.
type counter struct{ n atomic.Int64 }

func (c *counter) Next(context.Context, string) (int64, error) { return c.n.Add(1), nil }

// A holder whose clock jumped over the lease (it was stopped) learns so from Err, before any timer of its process.
func TestStoppedHolderNoticesBeforeActing(t *testing.T) {
	t.Parallel()
	c := &jumping{clock.NewFake(time.Unix(0, 0))}
	l := locker(t, memorylock.New(c.Fake), sqliteDatabase(t).fence, lock.Options{Clock: c})
	g := acquire(t, l, "a")
	check(t, g.Err())
	c.Advance(time.Hour)
	if err := g.Err(); !errors.Is(err, lock.ErrLost) {
		t.Fatalf("Err is %v, want ErrLost", err)
	}
	if g.Context().Err() == nil {
		t.Error("the context goes on after Err said lost")
	}
	if err := g.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
		t.Errorf("Release is %v, want ErrLost", err)
	}
}

// jumping is a clock whose timers never fire, as in a process that has just been woken.
type jumping struct{ *clock.Fake }

func (jumping) NewTimer(time.Duration) clock.Timer { return deadTimer{} }

type deadTimer struct{}

func (deadTimer) C() <-chan time.Time { return nil }
func (deadTimer) Stop() bool          { return true }

// Tokens rise with every grant of a name, whoever gets it and however it ended.
func TestTokensRise(t *testing.T) {
	t.Parallel()
	for kind, open := range databases() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			store, f := memorylock.New(nil), open(t).fence
			one, two := locker(t, store, f, lock.Options{}), locker(t, store, f, lock.Options{})
			last := int64(0)
			for i := range 20 {
				l := one
				if i%2 == 1 {
					l = two
				}
				g := acquire(t, l, "a")
				if g.Token() <= last {
					t.Fatalf("token %d after %d", g.Token(), last)
				}
				last = g.Token()
				if i%3 == 0 {
					store.Flush()
					continue
				}
				check(t, g.Release(t.Context()))
			}
		})
	}
}

// Taken from many connections at once, no token is given twice.
func TestFenceIsUniqueUnderContention(t *testing.T) {
	t.Parallel()
	for kind, open := range databases() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := open(t).fence
			var mu sync.Mutex
			seen := map[int64]bool{}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					last := int64(0)
					for range 25 {
						n, err := f.Next(t.Context(), "contended")
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						if seen[n] || n <= last {
							t.Errorf("token %d after %d, seen before: %v", n, last, seen[n])
						}
						seen[n], last = true, n
						mu.Unlock()
					}
				})
			}
			all.Wait()
			if len(seen) != 200 || !seen[1] || !seen[200] {
				t.Errorf("%d tokens, want 1 to 200", len(seen))
			}
		})
	}
}

// Without a token there is no grant, and the name is free at once for the next.
func TestNoTokenNoGrant(t *testing.T) {
	t.Parallel()
	store := memorylock.New(nil)
	if _, err := locker(t, store, brokenFence{}, lock.Options{}).Acquire(t.Context(), "a"); !errors.Is(err, errBroken) {
		t.Fatalf("Acquire is %v, want the fence's error", err)
	}
	g, err := locker(t, store, sqliteDatabase(t).fence, lock.Options{}).TryAcquire(t.Context(), "a")
	check(t, err)
	check(t, g.Release(t.Context()))
}

var errBroken = errors.New("no tokens today")

type brokenFence struct{}

func (brokenFence) Next(context.Context, string) (int64, error) { return 0, errBroken }

// A name that was lost while its token was taken is not granted: the one who has it is alone.
func TestLostWhileTakingTheToken(t *testing.T) {
	t.Parallel()
	store, f := memorylock.New(nil), sqliteDatabase(t).fence
	two := locker(t, store, f, lock.Options{})
	slow := fenceFunc(func(ctx context.Context, name string) (int64, error) {
		store.Flush() // the store forgets, and another comes
		acquire(t, two, name)
		return f.Next(ctx, name)
	})
	if _, err := locker(t, store, slow, lock.Options{}).TryAcquire(t.Context(), "a"); !errors.Is(err, lock.ErrHeld) {
		t.Fatalf("TryAcquire is %v, want ErrHeld", err)
	}
}

type fenceFunc func(context.Context, string) (int64, error)

func (f fenceFunc) Next(ctx context.Context, name string) (int64, error) { return f(ctx, name) }

// Waiters of one process get the name in the order in which they came, and one who gives up is passed over.
func TestWaitersInTurn(t *testing.T) {
	t.Parallel()
	l := locker(t, memorylock.New(nil), sqliteDatabase(t).fence, lock.Options{})
	first := acquire(t, l, "a")
	order := make(chan int, 5)
	var all sync.WaitGroup
	for i := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		entered := make(chan struct{})
		all.Go(func() {
			close(entered)
			g, err := l.Acquire(ctx, "a")
			if i == 2 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the one who gave up got %v, want its context's error", err)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			order <- i
			if err := g.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
		<-entered
		time.Sleep(5 * time.Millisecond) // lets it queue up; a late one fails the test, never passes it
		if i == 2 {
			cancel()
		}
		defer cancel()
	}
	check(t, first.Release(t.Context()))
	all.Wait()
	close(order)
	last := -1
	for i := range order {
		if i < last {
			t.Errorf("%d came after %d", i, last)
		}
		last = i
	}
}

// Stop releases what is held, and leaves no goroutine.
func TestStopReleasesEverything(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store, f := memorylock.New(nil), &counter{}
	l, err := lock.New(store, f, lock.Options{})
	check(t, err)
	g := acquire(t, l, "a")
	acquire(t, l, "b")
	check(t, l.Stop(context.Background()))
	check(t, l.Stop(context.Background()))
	if err := g.Err(); !errors.Is(err, lock.ErrReleased) {
		t.Errorf("Err is %v, want ErrReleased", err)
	}
	if _, err := l.Acquire(context.Background(), "a"); !errors.Is(err, lock.ErrStopped) {
		t.Errorf("Acquire is %v, want ErrStopped", err)
	}
	other, err := lock.New(store, f, lock.Options{})
	check(t, err)
	for _, name := range []string{"a", "b"} {
		if _, err := other.TryAcquire(context.Background(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, other.Stop(context.Background()))
}

// A leader that loses its lock sees its context end, and leads again when it can; another leads meanwhile with a greater token.
func TestLead(t *testing.T) {
	t.Parallel()
	store, f := memorylock.New(nil), sqliteDatabase(t).fence
	l := locker(t, store, f, lock.Options{TTL: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tokens := make(chan int64)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Lead(ctx, "leader", func(ctx context.Context, g *lock.Grant) error {
			tokens <- g.Token()
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	first := <-tokens
	store.Flush()
	if second := <-tokens; second <= first {
		t.Errorf("token %d after %d", second, first)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Lead ended with %v, want its context's error", err)
	}
	if _, err := locker(t, store, f, lock.Options{}).TryAcquire(t.Context(), "leader"); err != nil {
		t.Errorf("the name is not free after Lead: %v", err)
	}
}

// Bad names and bad options are refused by name.
func TestRefusesBadNames(t *testing.T) {
	t.Parallel()
	l := locker(t, memorylock.New(nil), brokenFence{}, lock.Options{})
	for _, name := range []string{"", "a b", "a{b", "a}b", "a\nb", string(make([]byte, 201))} {
		if _, err := l.TryAcquire(t.Context(), name); err == nil || errors.Is(err, errBroken) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if _, err := lock.New(memorylock.New(nil), brokenFence{}, lock.Options{TTL: time.Millisecond}); err == nil {
		t.Error("a TTL of 1 ms is accepted")
	}
}

// A hundred waiters of one process behind a holder who stays cost the store a few calls a minute, not a hundred loops.
func TestWaitersDoNotHammer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &takes{Driver: memorylock.New(nil)}
		l := locker(t, f, &counter{}, lock.Options{})
		acquire(t, l, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := l.Acquire(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a waiter got %v, want its deadline", err)
				}
			})
		}
		all.Wait()
		if n := f.n.Load(); n > 10 {
			t.Errorf("%d calls in a minute, want at most 10", n)
		}
	})
}

// takes counts attempts.
type takes struct {
	driver.Driver
	n atomic.Int64
}

func (c *takes) Take(ctx context.Context, name, owner string, ttl time.Duration) (time.Duration, error) {
	c.n.Add(1)
	return c.Driver.Take(ctx, name, owner, ttl)
}
