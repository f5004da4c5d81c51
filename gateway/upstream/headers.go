package upstream

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ours are the headers of requests that only we write: whatever a caller sends under these names is dropped.
var ours = []string{"X-User", "X-App", "X-Role", "X-Sandbox", "X-Request-Id", "X-Trace-Id", "Traceparent", "X-Real-Ip"}

// claims are the headers of requests by which a service may be led to take the call for another than the one that was let through: of
// another method, for another path, from another client.
var claims = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
	"X-Client-Ip", "Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip",
}

// secrets are the headers that show who somebody is; they pass only where the route says credentials: pass.
var secrets = []string{"Authorization", "Cookie", "Signature", "Signature-Input"}

// hidden are the headers of answers that tell of what is behind.
var hidden = []string{"Server", "Via", "X-Powered-By", "X-Aspnet-Version", "X-Aspnetmvc-Version", "X-Runtime", "X-Version", "Alt-Svc", "X-Generator", "X-Debug-Token", "Server-Timing"}

// pages are the headers of answers that a service may say better of its own than we did: what it says goes beside ours, which the chain takes away then.
var pages = []string{
	"X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
	"Cache-Control", "Strict-Transport-Security",
}

// hop reports a header that is about one connection.
func hop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect":
		return true
	}
	return false
}

// request makes the header of the upstream's request: h is what the caller sent, with what names a hop gone already.
func (j *job) request(h http.Header, in *http.Request) {
	pass := j.route.Credentials == "pass"
	upgrade := h.Get("Upgrade")
	for name := range h {
		// Servers that put headers into variables read X_User and X-User as one.
		if hop(name) || strings.HasPrefix(name, "X-Forwarded-") || strings.Contains(name, "_") || !pass && strings.HasPrefix(name, "X-Penstock-") {
			delete(h, name)
		}
	}
	for _, list := range [][]string{ours, claims} {
		for _, name := range list {
			h.Del(name)
		}
	}
	if !pass {
		for _, name := range secrets {
			h.Del(name)
		}
	}
	if j.upgrade {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", upgrade)
	}
	if j.route.converts() || j.route.Problems != "" {
		h.Del("Accept-Encoding")
	}
	if trace := in.Header.Get("Traceparent"); len(trace) < 35 || len(j.caller.Trace) < 35 || trace[3:35] != j.caller.Trace[3:35] {
		h.Del("Tracestate") // it belongs to a trace that was not continued
	}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	c := j.caller
	set("X-User", c.User)
	set("X-App", c.App)
	set("X-Role", c.Role)
	if c.Sandbox {
		set("X-Sandbox", "true")
	}
	set("X-Request-Id", c.RequestID)
	set("Traceparent", c.Trace)
	if c.Client.IsValid() {
		set("X-Forwarded-For", c.Client.String())
	}
	set("X-Forwarded-Host", in.Host)
	set("X-Forwarded-Proto", scheme(in, c.Client))
	j.media(h)
	j.route.Headers.apply(h)
	if key := h["Idempotency-Key"]; len(key) == 1 && key[0] != "" {
		j.repeat = j.repeat || j.keyed
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if key, ok := h[name]; ok {
			// net/http sends a request by itself again when these names are in their usual form; whether it may, only we know.
			delete(h, name)
			h[strings.ToLower(name)] = key
		}
	}
}

// scheme is how the caller reached us. A proxy whose word on the client's address was taken is believed here too.
func scheme(in *http.Request, client netip.Addr) string {
	if in.TLS != nil {
		return "https"
	}
	peer, err := netip.ParseAddrPort(in.RemoteAddr)
	if said := in.Header["X-Forwarded-Proto"]; err == nil && len(said) == 1 && said[0] == "https" && client.IsValid() && peer.Addr().Unmap().WithZone("") != client {
		return "https"
	}
	return "http"
}

func (h Headers) apply(to http.Header) {
	for name, value := range h.Set {
		to.Set(name, value)
	}
	for _, name := range h.Remove {
		to.Del(name)
	}
}

// answered makes the header of our answer of the upstream's. taken is what we have said already.
func (j *job) answered(a *http.Response, taken http.Header) {
	h := a.Header
	for name := range h {
		_, said := taken[name]
		if said && !slices.Contains(pages, name) || strings.HasPrefix(name, "X-Envoy-") || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	for _, list := range [][]string{hidden, ours} {
		for _, name := range list {
			h.Del(name)
		}
	}
	if place := h.Get("Location"); place != "" && a.Request != nil {
		if u, err := url.Parse(place); err == nil && u.Host == a.Request.URL.Host {
			u.Scheme, u.Host, u.User = "", "", nil
			h.Set("Location", u.String())
		}
	}
	if j.degraded != "" {
		h.Set("X-Degraded", j.degraded)
	}
	j.route.Answer.apply(h)
}
