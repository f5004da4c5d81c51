package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"penstock/limit"
	"penstock/shed"
)

type trailKey struct{}

// trail is what a request met on its way: the number of the policy that each part belongs to.
type trail struct{ met []int }

// marked are the parts of one policy.
type marked int

func (m marked) meet(ctx context.Context) {
	if t, ok := ctx.Value(trailKey{}).(*trail); ok {
		t.met = append(t.met, int(m))
	}
}

func (m marked) Take(ctx context.Context, _ limit.Subject) limit.Decision {
	m.meet(ctx)
	return limit.Decision{Allowed: true}
}
func (m marked) Explain(limit.Subject) limit.Decision { return limit.Decision{Allowed: true} }
func (m marked) Acquire(ctx context.Context, _ shed.Class, _ string) (func(), error) {
	m.meet(ctx)
	return func() { m.meet(ctx) }, nil
}
func (m marked) State() shed.State { return shed.State{} }

func (m marked) policy() *Policy {
	return &Policy{Rule: func(string) Rule { return Rule{Address: m, Limits: m, Shedder: m, Class: shed.Browsing} }}
}

// While policies are swapped under load, each call meets the parts of one policy only, from its first stage to the place that it
// gives back at its end.
func TestSwapsUnderLoadAreWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if err := b.g.Use(marked(1).policy()); err != nil {
		t.Fatal(err)
	}
	stop, versions := make(chan struct{}), sync.Map{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				met := &trail{}
				r := httptest.NewRequest("GET", "/x", nil)
				w := httptest.NewRecorder()
				b.g.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), trailKey{}, met)))
				if w.Code != http.StatusNoContent || len(met.met) != 4 {
					t.Errorf("%d after %v", w.Code, met.met)
					return
				}
				for _, n := range met.met {
					if n != met.met[0] {
						t.Errorf("a call met the policies %v", met.met)
						return
					}
				}
				versions.Store(met.met[0], true)
			}
		})
	}
	for n, end := 2, time.Now().Add(300*time.Millisecond); time.Now().Before(end); n++ {
		if err := b.g.Use(marked(n).policy()); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	all.Wait()
	seen := 0
	versions.Range(func(any, any) bool { seen++; return true })
	if seen < 2 {
		t.Errorf("calls met %d policies only", seen)
	}
}

// A call that is in its handler while the policy changes ends by the policy it began with; the next one begins with the new.
func TestCallsInFlightKeepTheirPolicy(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	b := setup(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		inside <- struct{}{}
		<-leave
		w.WriteHeader(http.StatusNoContent)
	})
	if err := b.g.Use(marked(1).policy()); err != nil {
		t.Fatal(err)
	}
	call := func(met *trail) chan int {
		code := make(chan int)
		go func() {
			r := httptest.NewRequest("GET", "/x", nil)
			code <- b.do(r.WithContext(context.WithValue(r.Context(), trailKey{}, met))).Code
		}()
		<-inside
		return code
	}
	old, fresh := &trail{}, &trail{}
	first := call(old)
	if err := b.g.Use(marked(2).policy()); err != nil {
		t.Fatal(err)
	}
	second := call(fresh)
	close(leave)
	if a, b := <-first, <-second; a != http.StatusNoContent || b != http.StatusNoContent {
		t.Errorf("%d, %d", a, b)
	}
	for want, met := range map[int]*trail{1: old, 2: fresh} {
		if len(met.met) != 4 || met.met[0] != want || met.met[3] != want {
			t.Errorf("a call of policy %d met %v", want, met.met)
		}
	}
}
