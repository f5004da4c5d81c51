package page

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is escaped can neither end a text nor an attribute.
func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`<script>alert("x")</script>`: "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;", "a&b": "a&amp;b", "'`": "&#39;&#96;", "\x00\x1b\xff": "\ufffd\ufffd\ufffd", "秒杀": "秒杀",
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// No text gets a byte through that means something to a browser.
func FuzzEscape(f *testing.F) {
	f.Add(`"><img src=x onerror=alert(1)>`)
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		for _, ok := range []string{"&amp;", "&lt;", "&gt;", "&#34;", "&#39;", "&#96;"} {
			got = strings.ReplaceAll(got, ok, "")
		}
		if strings.ContainsAny(got, "<>\"'`&\x00") {
			t.Errorf("%q leaves %q", s, got)
		}
	})
}

// A page runs nothing and loads nothing, and its nonce is new each time.
func TestPagesAreClosed(t *testing.T) {
	t.Parallel()
	policy := func() string {
		w := httptest.NewRecorder()
		Page{Title: "<T>"}.Write(w)
		if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "no-referrer" || strings.Contains(w.Body.String(), "<T>") {
			t.Errorf("%v %s", h, w.Body)
		}
		return w.Header().Get("Content-Security-Policy")
	}
	a, b := policy(), policy()
	if a == b || !strings.HasPrefix(a, "default-src 'none'; style-src 'nonce-") || !strings.Contains(a, "frame-ancestors 'none'") || strings.Contains(a, "unsafe") || strings.Contains(a, "script") {
		t.Errorf("%s", a)
	}
}
