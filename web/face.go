package web

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Options tunes a face. The zero value is good.
type Options struct {
	// Login is what the page is told of how a buyer gets a token: "demo" where the server hands out tokens, else "".
	Login string
	// Files are the built faces; nil means those in the binary.
	Files fs.FS
}

// Face is the pages and files of one listener.
type Face struct {
	base   string
	login  string
	index  []byte // nil where the face was not built
	assets map[string]*asset
}

// Storefront is the face of the public listener, under /shop.
func Storefront(o Options) (*Face, error) { return open("storefront", "/shop", o) }

// Console is the face of the admin listener, under /console.
func Console(o Options) (*Face, error) { return open("console", "/console", o) }

func open(name, base string, o Options) (*Face, error) {
	if o.Files == nil {
		built, err := fs.Sub(dist, "dist")
		if err != nil {
			return nil, err
		}
		o.Files = built
	}
	f := &Face{base: base, login: o.Login, assets: map[string]*asset{}}
	index, err := fs.ReadFile(o.Files, name+"/"+name+".html")
	if err != nil {
		return f, nil //nolint:nilerr // a face that was not built is no error: it says how to build it
	}
	f.index = index
	err = fs.WalkDir(o.Files, name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".html") {
			return err
		}
		body, err := fs.ReadFile(o.Files, p)
		if err != nil {
			return err
		}
		f.assets[base+strings.TrimPrefix(p, name)] = newAsset(p, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the face %s: %w", name, err)
	}
	return f, nil
}

// Built reports whether the binary has the face.
func (f *Face) Built() bool { return f.index != nil }

// Base is the path that the face answers below, such as /shop.
func (f *Face) Base() string { return f.base }

// Has reports whether the face answers a path, in its escaped form: the listener's root, a file that exists, or a page. What lies under
// assets and is no file is no page either.
func (f *Face) Has(escaped string) bool {
	if escaped == "/" || escaped == f.base || escaped == f.base+"/" {
		return true
	}
	if f.assets[escaped] != nil {
		return true
	}
	return strings.HasPrefix(escaped, f.base+"/") && !strings.HasPrefix(escaped, f.base+"/assets/") && path.Clean(escaped) == escaped
}

// ServeHTTP answers a GET or HEAD of a path that the face has.
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.EscapedPath()
	switch a := f.assets[p]; {
	case a != nil:
		a.serve(w, r)
	case p == "/":
		w.Header().Set("Cache-Control", "no-cache")
		http.Redirect(w, r, f.base+"/", http.StatusFound)
	default:
		f.page(w)
	}
}

// page sends the one page of the face; its script shows what the path asks for.
func (f *Face) page(w http.ResponseWriter) {
	nonce := rand.Text()
	h := w.Header()
	protect(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // a nonce is for one answer
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if f.index == nil {
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write([]byte(notBuilt))
		return
	}
	h.Set("Content-Security-Policy", policy(nonce))
	body := bytes.ReplaceAll(f.index, []byte("PENSTOCK-NONCE"), []byte(nonce))
	body = bytes.ReplaceAll(body, []byte("PENSTOCK-LOGIN"), []byte(f.login))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// policy lets run what carries the nonce, and what that imports, and nothing else; pages talk to their own listener only. Styles of a
// file come from here; a style element needs the nonce. There is no eval, no inline handler, no plug-in, no frame.
func policy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "' 'strict-dynamic'; style-src 'self' 'nonce-" + nonce + "'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

func protect(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// notBuilt is what a binary without faces has to say.
const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Penstock: pages not built</title></head>
<body><h1>This binary was built without its pages</h1>
<p>The server runs, and its API answers. To have the pages too, build them with Node 20 or newer and npm, then build the binary again:</p>
<pre>make web build</pre>
<p lang="zh-CN">此程序构建时未包含网页。服务器与 API 工作正常。如需网页，请安装 Node 20 或更新版本及 npm，运行 <code>make web build</code>，然后重新启动。</p>
</body></html>
`
