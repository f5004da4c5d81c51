package policy

import (
	"context"
	"testing"
	"time"

	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/shed"
)

// Without a word in the file every route is shed by the defaults, and a rule takes a route out.
func TestSheddingIsOnByDefault(t *testing.T) {
	t.Parallel()
	b, err := rooms().build([]byte("rules: [{match: [GET /v1/sales], stages: {shedding: off}}]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for route := range routes() {
		r := b.policy.Rule(route)
		if off := r.Off.Has(gateway.StageShedding); r.Shedder == nil || off != (route == "GET /v1/sales") {
			t.Errorf("%s: shedder %v, off %v", route, r.Shedder, off)
		}
	}
	if got := b.shedder.State().Limit; got != 4096 {
		t.Errorf("at most %d run", got)
	}
}

// While the settings of the shedder change, whoever runs goes on and whoever waits keeps his place; then the old shedder is gone,
// and its counts are not.
func TestAChangeLosesNobodysPlace(t *testing.T) {
	t.Parallel()
	f := follow(t, "shedding: {inFlight: 1, floor: 1}\n")
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	acquire := func() (func(), error) {
		return f.user.policy.Rule("GET /v1/orders").Shedder.Acquire(context.Background(), shed.Paying, "ann")
	}
	leave, err := acquire()
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	old := f.user.policy.Rule("GET /v1/orders").Shedder
	go func() {
		leave, err := old.Acquire(context.Background(), shed.Paying, "bob")
		if err == nil {
			leave()
		}
		waited <- err
	}()
	until(t, "somebody waits", func() bool { return old.State().Waiting == 1 })
	f.write(t, "shedding: {inFlight: 2, floor: 1}\n")
	if _, err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if c := f.Counts().Shed; c.Limit != 2 || c.Running != 1 || c.Waiting != 1 {
		t.Errorf("after the change: %+v", c)
	}
	for range 2 {
		if leave, err := acquire(); err != nil {
			t.Error(err)
		} else {
			leave()
		}
	}
	leave()
	if err := <-waited; err != nil {
		t.Errorf("who waited was refused: %v", err)
	}
	until(t, "the old shedder is gone", func() bool {
		f.rooms.Limit.Clock.(*clock.Fake).Advance(retireLook)
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.retired.all) == 0
	})
	if c := f.Counts().Shed; c.Passed[shed.Paying] != 4 || c.Running != 0 {
		t.Errorf("in the end: %+v", c)
	}
	if err := f.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	f.retired.work.Wait()
}

// until polls for something that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}
