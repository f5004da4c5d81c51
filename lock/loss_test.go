package lock_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/internal/faultproxy"
	"penstock/lock"
)

// Redis forgets, freezes, dies, comes back with older data: tokens rise through all of it, and whoever wakes up with an older
// grant is refused by the guard.
func TestRedisLoss(t *testing.T) {
	t.Parallel()
	server := engines.Redis(t)
	for kind, open := range databases() {
		t.Run(kind, func(t *testing.T) {
			db := open(t)
			t.Run("flushed", func(t *testing.T) { t.Parallel(); flushed(t, db, server) })
			t.Run("holder cut off", func(t *testing.T) { t.Parallel(); cutOff(t, db, server) })
			t.Run("replica promoted with older data", func(t *testing.T) { t.Parallel(); promoted(t, db) })
			t.Run("restarted empty", func(t *testing.T) { t.Parallel(); restarted(t, db) })
			t.Run("paused", func(t *testing.T) { t.Parallel(); paused(t, db) })
		})
	}
}

// succeeds lets the second locker take what the first believes to hold, has it write, and then the first.
func succeeds(t *testing.T, db database, old *lock.Grant, next *lock.Locker) *lock.Grant {
	t.Helper()
	g := acquire(t, next, old.Name())
	if g.Token() <= old.Token() {
		t.Fatalf("token %d after %d", g.Token(), old.Token())
	}
	check(t, guarded(t.Context(), db, g))
	if err := guarded(t.Context(), db, old); !errors.Is(err, lock.ErrStale) {
		t.Fatalf("the older holder's write ended with %v, want ErrStale", err)
	}
	return g
}

func flushed(t *testing.T, db database, server *engines.Server) {
	o := lock.Options{TTL: 900 * time.Millisecond}
	one, two := locker(t, redisStore(t, server.URL()), db.fence, o), locker(t, redisStore(t, server.URL()), db.fence, o)
	first := acquire(t, one, "flushed")
	check(t, guarded(t.Context(), db, first))
	command(t, server, "flushall")
	second := succeeds(t, db, first, two)
	lost(t, first) // its renewal finds another owner, and must not take the name back
	check(t, second.Err())
	check(t, guarded(t.Context(), db, second))
}

// cutOff is a holder who does not reach Redis and does not look: paused, as far as the others can tell.
func cutOff(t *testing.T, db database, server *engines.Server) {
	proxy := faultproxy.New(t, server.Addr())
	o := lock.Options{TTL: 300 * time.Millisecond}
	one := locker(t, redisStore(t, "redis://"+proxy.Addr()), db.fence, o)
	two := locker(t, redisStore(t, server.URL()), db.fence, o)
	first := acquire(t, one, "cut")
	check(t, guarded(t.Context(), db, first))
	proxy.BlackHole()
	succeeds(t, db, first, two) // waits for the TTL
	if err := first.Err(); !errors.Is(err, lock.ErrLost) {
		t.Errorf("the holder that was cut off says %v, want ErrLost", err)
	}
	proxy.Pass()
}

func promoted(t *testing.T, db database) {
	primary := engines.Redis(t, "--repl-diskless-sync-delay", "0")
	replica := engines.RedisReplica(t, primary)
	store := redisStore(t, primary.URL()+"?replica="+replica.Addr())
	o := lock.Options{TTL: 2 * time.Second}
	one, two, three := locker(t, store, db.fence, o), locker(t, store, db.fence, o), locker(t, store, db.fence, o)
	first := acquire(t, one, "promoted")
	command(t, primary, "wait", "1", "2000")
	command(t, replica, "replicaof", "no", "one") // from here on the replica has an older copy
	check(t, first.Release(t.Context()))
	second := acquire(t, two, "promoted")
	check(t, guarded(t.Context(), db, second))
	primary.Kill(t)
	lost(t, second)                // the copy names the first as owner
	succeeds(t, db, second, three) // when the copy's lock has lapsed
	if second.Token() <= first.Token() {
		t.Errorf("token %d after %d", second.Token(), first.Token())
	}
}

func restarted(t *testing.T, db database) {
	server := engines.Redis(t, "--appendonly", "no")
	o := lock.Options{TTL: 2 * time.Second}
	one, two := locker(t, redisStore(t, server.URL()), db.fence, o), locker(t, redisStore(t, server.URL()), db.fence, o)
	first := acquire(t, one, "restarted")
	server.Kill(t)
	if _, err := two.TryAcquire(t.Context(), "restarted"); !errors.Is(err, lock.ErrUnavailable) {
		t.Errorf("with Redis gone: %v, want ErrUnavailable", err)
	}
	server.Start(t)
	eventually(t, func() bool {
		g, err := two.TryAcquire(t.Context(), "elsewhere")
		return err == nil && g.Release(t.Context()) == nil
	})
	succeeds(t, db, first, two)
	lost(t, first)
}

func paused(t *testing.T, db database) {
	server := engines.Redis(t)
	one := locker(t, redisStore(t, server.URL()), db.fence, lock.Options{TTL: 300 * time.Millisecond})
	first := acquire(t, one, "paused")
	server.Pause(t)
	began := time.Now()
	lost(t, first)
	if d := time.Since(began); d > time.Minute {
		t.Errorf("a holder without an answer from Redis believed in its lock for %v", d)
	}
	server.Resume(t)
	second := acquire(t, locker(t, redisStore(t, server.URL()), db.fence, lock.Options{}), "paused")
	if second.Token() <= first.Token() {
		t.Errorf("token %d after %d", second.Token(), first.Token())
	}
}

func command(t testing.TB, s *engines.Server, args ...string) {
	t.Helper()
	host, port, _ := strings.Cut(s.Addr(), ":")
	if out, err := exec.Command("redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
}

// eventually polls until the condition holds.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition did not come true within 10 s")
		}
	}
}
