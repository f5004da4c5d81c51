package app_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/config"
)

// Calls leave spans as trace.sample says, under the ids that they answer; a caller's span is the parent, and his decision counts.
func TestSpans(t *testing.T) {
	t.Parallel()
	const parent = "00f067aa0ba902b7"
	for _, c := range []struct {
		name, traceparent string
		share             float64
		spans             int
	}{
		{"none are wanted", "", 0, 0}, {"all are wanted", "", 1, 1},
		{"the caller wants one", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + parent + "-01", 0, 1},
		{"the caller wants none", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + parent + "-00", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "spans")
			h := start(t, t.TempDir(), func(cfg *config.Config) { cfg.Trace.Export, cfg.Trace.Sample = file, c.share })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addrs()["public"]+"/v1/sales", nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.traceparent != "" {
				req.Header.Set("Traceparent", c.traceparent)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			h.stop()
			got := spans(t, file)
			if len(got) != c.spans {
				t.Fatalf("%d spans: %v", len(got), got)
			}
			for _, s := range got {
				if s["traceId"] != res.Header.Get("X-Trace-Id") || !strings.Contains(s["message"].(string), "/v1/sales") {
					t.Errorf("answered %s, and the span is %v", res.Header.Get("X-Trace-Id"), s)
				}
				if of, _ := s["parentSpanId"].(string); (of == parent) != (c.traceparent != "") {
					t.Errorf("its parent is %q", of)
				}
			}
		})
	}
}

// spans reads the spans of calls that a file of them has.
func spans(t *testing.T, file string) (out []map[string]any) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var s map[string]any
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}
