package policy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"penstock/gateway"
	"penstock/gateway/upstream"
)

// A service behind the gateway decides for its own answers how long they may be kept and what its pages may load; ours hold where it
// says nothing.
func TestServicesSayHowTheirPagesAre(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
	}))
	defer up.Close()
	r := forwarding()
	r.Routes, r.Limits, r.Forward = nil, nil, &upstream.Deps{}
	b, err := r.build([]byte("upstreams: {shop: {targets: [\""+up.URL+"\"]}}\nroutes: [{match: GET /page, upstream: shop, access: anyone}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.forwards.Retire(nil)
	g, err := gateway.New(verifier{}, nobody{}, gateway.Options{Policy: b.policy})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
	for name, want := range map[string]string{"Cache-Control": "public, max-age=60", "Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
