package api

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"

	"penstock/errs"
	"penstock/gateway"
)

// DemoLogin makes visitors buyers, without asking who they are. It is for demonstrations on one machine.
type DemoLogin interface {
	// Buyer returns a user nobody has been before, and a token that speaks for him.
	Buyer() (user, token string, err error)
}

// DemoLoginRoute hands a browser a buyer's token. It is in no document: nobody should build on it.
const DemoLoginRoute = "POST /demo/buyer"

// demoCalls registers the demonstration's login where there is one.
func (s *surface) demoCalls() {
	if s.d.DemoLogin == nil {
		return
	}
	s.handle(DemoLoginRoute, gateway.ByAnyone, func(w http.ResponseWriter, r *http.Request) {
		if !fromThisMachine(r) {
			fail(r, errs.New(errs.Forbidden, "the login of the demonstration is for browsers on this machine only"))
			return
		}
		user, token, err := s.d.DemoLogin.Buyer()
		if err != nil {
			fail(r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]string{"user": user, "token": token}) // a client that has gone is no error of ours
	})
}

// fromThisMachine reports a call that a page of this server made in a browser of this machine: the peer is loopback, no proxy speaks
// for somebody else, the name in the address is this machine's (else a page elsewhere could have its name resolved to us), and no
// other site is behind it.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin"
}
