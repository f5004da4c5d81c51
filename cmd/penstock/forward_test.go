package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// penstock serve forwards by the file that it was given, and explains what a forwarded call passes.
func TestServeForwards(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %q", r.URL.Path, r.Header.Get("X-User"))
	}))
	defer up.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	text := "upstreams: {shop: {targets: [\"" + up.URL + "\"]}}\nroutes: [{match: \"GET /ext/{id}\", access: anyone, upstream: shop, path: \"/in/{id}\"}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, filepath.Join(dir, "data"), "--gateway-file", file)
	resp, err := http.Get("http://" + s.at["public"] + "/ext/7")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != `/in/7 for ""` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	s.do(t, 0, []string{"gateway", "explain", "GET", "/ext/7"}, "GET /ext/{id}", "every stage passes")
	s.do(t, 0, []string{"gateway", "check", file}, "is good")
	s.end(t)
}
