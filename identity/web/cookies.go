package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Names of the cookies, without the prefix.
const (
	sessionCookie = "penstock-session"
	deviceCookie  = "penstock-device"
	formCookie    = "penstock-form"
	hostPrefix    = "__Host-"
)

// plain reports a browser that talks plain HTTP to loopback: both the name it used and the peer are this machine's. A proxy in
// front is reached under another name.
func plain(r *http.Request) bool {
	if r.TLS != nil {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host != "localhost" {
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || !ip.IsLoopback() {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

func cookieName(r *http.Request, name string) string {
	if plain(r) {
		return name
	}
	return hostPrefix + name
}

// cookie reads a cookie that occurs once. Two of a name are somebody else's doing.
func cookie(r *http.Request, name string) string {
	all := r.CookiesNamed(cookieName(r, name))
	if len(all) != 1 {
		return ""
	}
	return all[0].Value
}

// setCookie sets a cookie for a time; 0 deletes it.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if life == 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r, name), Value: value, Path: "/", MaxAge: age, Secure: !plain(r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
