package telemetry

import (
	"context"
	"net/http"
	"net/http/pprof"
)

// ProbeOptions are what [Probe] may be told. The zero value works.
type ProbeOptions struct {
	// Pprof switches /debug/pprof on.
	Pprof bool
	// Fallback answers every other path; nil means a plain 404.
	Fallback http.Handler
}

// Probe serves /metrics and /health/{live,ready,startup}, by GET and HEAD.
func Probe(m *Metrics, h *Health, o ProbeOptions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	for path, report := range map[string]func(context.Context) Report{"live": h.Live, "ready": h.Ready, "startup": h.Startup} {
		mux.HandleFunc("GET /health/"+path, func(w http.ResponseWriter, r *http.Request) {
			report(r.Context()).ServeHTTP(w, r)
		})
	}
	if o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	if o.Fallback != nil {
		mux.Handle("/", o.Fallback)
	}
	return mux
}
