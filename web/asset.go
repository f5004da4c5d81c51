package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// asset is a file that never changes while the process lives.
type asset struct {
	kind string
	tag  string
	// hashed names carry the content's hash: another content has another name.
	hashed bool
	body   []byte
	zipped func() []byte // nil where compressing does not help
}

// hashedName is how the bundler names files: name-Hash8_ab.js.
var hashedName = regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)

// kinds are the types that pages are made of. The machine's own table is not asked: it differs from one to the next.
var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
	".png": "image/png", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	a := &asset{kind: kinds[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:8]) + `"`, hashed: hashedName.MatchString(name), body: body}
	if a.kind == "" {
		a.kind = "application/octet-stream"
	}
	if t, _, _ := mime.ParseMediaType(a.kind); len(body) > 512 && (strings.HasPrefix(t, "text/") || t == "image/svg+xml" || t == "application/json") {
		a.zipped = sync.OnceValue(func() []byte { return zip(body) })
	}
	return a
}

func zip(body []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level exists
	_, _ = w.Write(body)                                    // memory takes everything
	_ = w.Close()
	return out.Bytes()
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	protect(h)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.tag)
	h.Set("Cache-Control", "no-cache")
	if a.hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := a.body
	if a.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = a.zipped()
		}
	}
	if r.Header.Get("If-None-Match") == a.tag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that has gone is no error of ours
}

func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			w := strings.ReplaceAll(weight, " ", "")
			return w != "q=0" && !strings.HasPrefix(w, "q=0.000")
		}
	}
	return false
}
