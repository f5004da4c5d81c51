package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

const index = `<script nonce="PENSTOCK-NONCE" src="/shop/assets/a-BcDeFg12.js"></script><meta name="penstock-login" content="PENSTOCK-LOGIN">`

func built(t *testing.T, o Options) *Face {
	t.Helper()
	o.Files = fstest.MapFS{
		"placeholder.txt":                        {Data: []byte("x")},
		"storefront/storefront.html":             {Data: []byte(index)},
		"storefront/assets/a-BcDeFg12.js":        {Data: []byte(strings.Repeat("let a;", 200))},
		"storefront/assets/picture-BcDeFg12.png": {Data: []byte("png")},
		"console/console.html":                   {Data: []byte("console")},
		"console/assets/secret-BcDeFg12.js":      {Data: []byte("console only")},
	}
	f, err := Storefront(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func get(f *Face, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A face has its pages and files, and no path of the API, of the other face, or that could be read as another.
func TestHas(t *testing.T) {
	t.Parallel()
	f := built(t, Options{})
	for path, want := range map[string]bool{
		"/": true, "/shop": true, "/shop/": true, "/shop/sales/first": true, "/shop/sales/a%2Fb": true, "/shop/assets/a-BcDeFg12.js": true,
		"/v1/sales": false, "/problems/sold-out": false, "/openapi.json": false, "/shopping": false, "/console": false, "/admin/v1/sales": false,
		"/shop/assets/gone-BcDeFg12.js": false, "/shop/assets/secret-BcDeFg12.js": false, "/shop/../v1/sales": false, "/shop//x": false, "/shop/./x": false,
		"/shop/sales/": false, "/demo/buyer": false, "": false, "/shop/assets/../storefront.html": false,
	} {
		if got := f.Has(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

// Each page has a nonce of its own, which its policy and its scripts share; nothing else may run, and nobody keeps the page.
func TestPage(t *testing.T) {
	t.Parallel()
	f := built(t, Options{Login: "demo"})
	seen := map[string]bool{}
	for range 3 {
		r := get(f, "/shop/sales/first")
		csp := r.Header.Get("Content-Security-Policy")
		m := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26})'`).FindStringSubmatch(csp)
		if m == nil || seen[m[1]] {
			t.Fatalf("no fresh nonce in %q", csp)
		}
		seen[m[1]] = true
		if body := text(t, r); !strings.Contains(body, `nonce="`+m[1]+`"`) || strings.Contains(body, "PENSTOCK-") || !strings.Contains(body, `content="demo"`) {
			t.Errorf("%s", body)
		}
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") {
			t.Errorf("%q", csp)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
}

// Files whose name carries their hash are kept for ever, packed where that helps and only for who takes it, and known again by their tag.
func TestAsset(t *testing.T) {
	t.Parallel()
	f := built(t, Options{})
	const path = "/shop/assets/a-BcDeFg12.js"
	plain := get(f, path)
	packed := get(f, path, "Accept-Encoding", "br, gzip;q=0.8")
	if plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", plain.Header)
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v: %v", packed.Header, err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != text(t, plain) {
		t.Errorf("packed is not plain: %v", err)
	}
	for _, no := range []string{"", "br", "gzip;q=0", "gzip; q=0.000"} {
		if e := get(f, path, "Accept-Encoding", no).Header.Get("Content-Encoding"); e != "" {
			t.Errorf("%q got %s", no, e)
		}
	}
	if r := get(f, path, "If-None-Match", plain.Header.Get("ETag"), "Accept-Encoding", "gzip"); r.StatusCode != http.StatusNotModified || text(t, r) != "" {
		t.Errorf("%d", r.StatusCode)
	}
	if r := get(f, "/shop/assets/picture-BcDeFg12.png", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%v", r.Header)
	}
}

// The root leads to the face.
func TestRoot(t *testing.T) {
	t.Parallel()
	if r := get(built(t, Options{}), "/"); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "/shop/" {
		t.Errorf("%d %q", r.StatusCode, r.Header.Get("Location"))
	}
}

// A binary without its faces says how to build them, and has no files.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	f, err := Console(Options{Files: fstest.MapFS{"placeholder.txt": {}}})
	if err != nil || f.Built() || f.Has("/console/assets/secret-BcDeFg12.js") {
		t.Fatalf("%v %v", err, f.Built())
	}
	if r := get(f, "/console"); r.StatusCode != http.StatusOK || !strings.Contains(text(t, r), "make web build") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
}

// What is in this binary opens, whether or not it was built with the faces.
func TestThisBinary(t *testing.T) {
	t.Parallel()
	for _, open := range []func(Options) (*Face, error){Storefront, Console} {
		f, err := open(Options{})
		if err != nil || !f.Has(f.Base()) || get(f, f.Base()).StatusCode != http.StatusOK {
			t.Errorf("%v", err)
		}
	}
}
