package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A login leads to a path of this server, whatever it is asked for.
func TestLoginLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/", "/console/orders?x=1", "/oidc/authorize?redirect_uri=https%3A%2F%2Fa.example"} {
		if got := LocalPath(good); got != good {
			t.Errorf("%q became %q", good, got)
		}
	}
	for _, bad := range []string{
		"", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)", "evil.example", "/\t/evil.example", "/\n/evil", " /x",
		"/x\r\nSet-Cookie: a=b", "///evil.example", "http:evil.example", "/%zz", "/ä", strings.Repeat("/a", 3000),
	} {
		if got := LocalPath(bad); got != "/login" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// Cookies lose prefix and Secure on loopback over plain HTTP only: not behind a proxy, not under another name.
func TestCookiesArePlainOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, peer string
		plain      bool
	}{
		{"127.0.0.1:8081", "127.0.0.1:5", true}, {"localhost:8081", "127.0.0.1:5", true}, {"[::1]:8081", "[::1]:5", true}, {"127.0.0.1", "127.0.0.1:5", true},
		{"login.shop.example", "127.0.0.1:5", false}, {"127.0.0.1:8081", "10.0.0.1:5", false}, {"localhost.evil.example", "127.0.0.1:5", false}, {"", "127.0.0.1:5", false},
	} {
		r := httptest.NewRequest("GET", "/login", nil)
		r.Host, r.RemoteAddr = c.host, c.peer
		w := httptest.NewRecorder()
		setCookie(w, r, sessionCookie, "v", 1e12)
		got := w.Header().Get("Set-Cookie")
		if plain(r) != c.plain || strings.HasPrefix(got, hostPrefix) == c.plain || strings.Contains(got, "; Secure") == c.plain {
			t.Errorf("%s from %s: %s", c.host, c.peer, got)
		}
		if !strings.Contains(got, "; HttpOnly; ") || !strings.Contains(got, "SameSite=Lax") || !strings.Contains(got, "Path=/;") || strings.Contains(got, "Domain") {
			t.Errorf("%s", got)
		}
	}
}

// Two cookies of one name are not a session: one of them was planted.
func TestPlantedCookie(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: hostPrefix + sessionCookie, Value: "a"})
	if cookie(r, sessionCookie) != "a" {
		t.Error("the cookie is not read")
	}
	r.AddCookie(&http.Cookie{Name: hostPrefix + sessionCookie, Value: "b"})
	if got := cookie(r, sessionCookie); got != "" {
		t.Errorf("got %q", got)
	}
}
