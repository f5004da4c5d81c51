package api

import (
	"net/http"
	"net/http/pprof"
	runtime "runtime/pprof"
	"strconv"
	"sync"
	"time"

	"penstock/errs"
)

// longestProfile bounds the seconds that one profile may take.
const longestProfile = 300

// profiles serves Go's profiles. Those that take their time are taken one at a time, as the runtime demands.
type profiles struct{ taking sync.Mutex }

func (p *profiles) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("profile")
	if text := r.URL.Query().Get("seconds"); text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > longestProfile {
			fail(r, errs.New(errs.Invalid, "seconds is %q: it must be a whole number from 1 to %d, for example seconds=30", text, longestProfile))
			return
		}
	}
	switch name {
	case "profile":
		p.alone(w, r, pprof.Profile)
	case "trace":
		p.alone(w, r, pprof.Trace)
	case "symbol":
		pprof.Symbol(w, r)
	default: // not cmdline: the command line may hold addresses with passwords
		if runtime.Lookup(name) == nil {
			notFound(w, r)
			return
		}
		pprof.Handler(name).ServeHTTP(w, r)
	}
}

func (p *profiles) alone(w http.ResponseWriter, r *http.Request, take http.HandlerFunc) {
	if !p.taking.TryLock() {
		fail(r, &errs.Error{Code: errs.ReducedCapacity, Detail: "another profile is being taken", RetryAfter: 5 * time.Second})
		return
	}
	defer p.taking.Unlock()
	take(w, r)
}
