package crash

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// seeded returns a source of randomness and prints how to repeat it.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("CRASH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("CRASH_SEED=%q is not a number", s)
		}
		seed = n
	}
	t.Logf("seed %d (CRASH_SEED=%d repeats the choices)", seed, seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Killed ten times at random moments of a stampede, some of them while it was still recovering, the server comes back each
// time; every acknowledged order is there once, every unknown settles, no unit is lost or sold twice.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	dir := t.TempDir()
	const stock, limit = 6000, 2
	s := start(t, dir)
	operate(s).offer(stock, limit)
	c := gather(t, s, 6000, 3)
	c.enter(s)
	c.rush()
	var worst time.Duration
	for round := range 10 {
		if !c.until(s, 1+rnd.Int64N(1200)) {
			t.Fatalf("round %d: the crowd got no more answers:\n%s", round, tail(s.log.String()))
		}
		c.leave()
		s.kill()
		if rnd.IntN(3) == 0 {
			killedWhileRecovering(t, dir, time.Duration(rnd.Int64N(int64(100*time.Millisecond))))
		}
		s = start(t, dir)
		worst = max(worst, s.readyIn)
		c.enter(s)
	}
	t.Logf("measured: ten kills, ready again within %v at worst", worst.Round(time.Millisecond))
	judge(s, c, stock, limit)
	s.stop()
}

// killedWhileRecovering starts the server and kills it after a moment, ready or not.
func killedWhileRecovering(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	s := launch(t, dir)
	select {
	case <-s.gone:
		t.Errorf("the server ended by itself while recovering:\n%s", tail(s.log.String()))
	case <-time.After(after):
	}
	s.kill()
}

// Stopped by SIGTERM in the middle of a stampede, the server answers what it took and leaves nothing behind.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const stock, limit = 2000, 2
	s := start(t, dir)
	operate(s).offer(stock, limit)
	c := gather(t, s, 2000, 3)
	c.enter(s)
	c.rush()
	if !c.until(s, 500) {
		t.Fatalf("no answers:\n%s", tail(s.log.String()))
	}
	s.stop()
	c.leave()
	if s.err != nil {
		t.Errorf("exit after SIGTERM: %v\n%s", s.err, tail(s.log.String()))
	}
	s = start(t, dir)
	c.enter(s)
	judge(s, c, stock, limit)
}
