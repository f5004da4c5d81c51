package redislimit_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"penstock/engine/redis"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/limit/drivertest"
	"penstock/limit/redislimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open connects an instance to Redis and starts it.
func open(t testing.TB, url string, o redislimit.Options) *redislimit.Redis {
	t.Helper()
	cfg, err := redis.Parse(url)
	must(t, err)
	client, err := redis.Open(t.Context(), cfg, redis.Options{Late: true, Dial: 200 * time.Millisecond, Timeout: 500 * time.Millisecond, Commands: redislimit.Commands()})
	must(t, err)
	r, err := redislimit.New(client, o)
	must(t, err)
	must(t, r.Start(t.Context()))
	t.Cleanup(func() {
		must(t, r.Stop(context.Background()))
		client.Close()
	})
	return r
}

// dial returns a client of the test's own.
func dial(t testing.TB, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// patient are options for a machine on which others work too: nothing is late.
var patient = redislimit.Options{Deadline: time.Second}

const clockKey = "penstock:limit:{limit}:clock"

// shift moves the two numbers of the clock: the wall time that was seen last, and the time of the limits.
func shift(t testing.TB, c rueidis.Client, wall, now time.Duration) {
	t.Helper()
	text, err := c.Do(context.Background(), c.B().Get().Key(clockKey).Build()).ToString()
	must(t, err)
	b := []byte(text)
	for i, d := range []time.Duration{wall, now} {
		v := math.Float64frombits(binary.BigEndian.Uint64(b[8*i:])) + float64(d.Microseconds())
		binary.BigEndian.PutUint64(b[8*i:], math.Float64bits(v))
	}
	must(t, c.Do(context.Background(), c.B().Set().Key(clockKey).Value(string(b)).PxMilliseconds(1e9).Build()).Error())
}

// world is one in which time is what the clock of the limits says.
func world(t testing.TB, r *redislimit.Redis, c rueidis.Client) drivertest.World {
	start, skipped := time.Now(), time.Duration(0)
	return drivertest.World{
		Shared: r, Clock: clock.Real{}, Now: func() time.Duration { return time.Since(start) + skipped },
		Advance: func(d time.Duration) {
			d += time.Microsecond // whole microseconds are kept there
			shift(t, c, 0, d)
			skipped += d.Truncate(time.Microsecond)
		},
	}
}

// within polls a condition.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

const patience = 30 * time.Second

func server(t testing.TB, args ...string) (*engines.Server, rueidis.Client) {
	t.Helper()
	s := engines.Redis(t, args...)
	return s, dial(t, s.Addr())
}
