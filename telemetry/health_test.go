package telemetry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, h *Health, path string) (int, Report) {
	t.Helper()
	r := map[string]func(context.Context) Report{"/health/live": h.Live, "/health/ready": h.Ready, "/health/startup": h.Startup}[path](t.Context())
	if r.Err() != nil {
		return http.StatusServiceUnavailable, r
	}
	return http.StatusOK, r
}

// Ready is false until recovery is complete, while a check fails, and once a stop has begun; live does not care.
func TestReadyFollowsTheLife(t *testing.T) {
	t.Parallel()
	h := NewHealth(HealthOptions{})
	var broken error
	asked := 0
	h.AddReady("stock", func(context.Context) error { asked++; return broken })
	h.AddLive("writer", func(context.Context) error { return nil })
	step := func(want int, checks map[string]string) {
		t.Helper()
		code, r := get(t, h, "/health/ready")
		if code != want {
			t.Errorf("ready: %d, want %d", code, want)
		}
		if d := cmp.Diff(checks, r.Checks); d != "" {
			t.Error(d)
		}
		if code, r = get(t, h, "/health/live"); code != 200 || r.Status != "ok" || r.Checks["writer"] != "ok" {
			t.Errorf("live: %d %v", code, r)
		}
	}
	step(503, map[string]string{"started": "recovery is not complete", "draining": "ok"})
	if code, r := get(t, h, "/health/startup"); code != 503 || r.Status != "fail" || asked != 0 {
		t.Errorf("startup: %d %v; ready checks asked %d times before the start", code, r, asked)
	}
	h.Started()
	step(200, map[string]string{"started": "ok", "draining": "ok", "stock": "ok"})
	broken = errors.New("disk full")
	step(503, map[string]string{"started": "ok", "draining": "ok", "stock": "disk full"})
	broken = nil
	h.Draining()
	step(503, map[string]string{"started": "ok", "draining": "a stop has begun", "stock": "ok"})
	if code, _ := get(t, h, "/health/startup"); code != 200 {
		t.Errorf("startup: %d", code)
	}
}

// A check that hangs fails in time and is not asked again until it is back; one that panics fails.
func TestBadChecksAreContained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(HealthOptions{Timeout: time.Second})
		h.Started()
		release := make(chan struct{})
		var runs atomic.Int32
		h.AddReady("hangs", func(context.Context) error { runs.Add(1); <-release; return nil })
		h.AddReady("panics", func(context.Context) error { panic("nil map") })
		begin := time.Now()
		for range 3 {
			r := h.Ready(t.Context())
			if r.Status != "fail" || r.Checks["hangs"] != "no answer in time" || r.Checks["panics"] != "check panicked: nil map" {
				t.Errorf("got %v", r)
			}
		}
		if took := time.Since(begin); took != 3*time.Second || runs.Load() != 1 {
			t.Errorf("took %v, %d runs", took, runs.Load())
		}
		close(release)
		synctest.Wait()
		if r := h.Ready(t.Context()); r.Checks["hangs"] != "ok" {
			t.Errorf("got %v", r)
		}
	})
}

// Whoever asks while a check runs gets that run's answer, also when the one who began it has gone.
func TestAskersShareARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(HealthOptions{})
		h.Started()
		var runs atomic.Int32
		release := make(chan struct{})
		h.AddReady("slow", func(ctx context.Context) error {
			runs.Add(1)
			<-release
			return ctx.Err()
		})
		gone, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { h.Ready(gone) })
		synctest.Wait()
		all.Go(func() {
			if r := h.Ready(t.Context()); r.Status != "ok" {
				t.Errorf("got %v", r)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		all.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}
