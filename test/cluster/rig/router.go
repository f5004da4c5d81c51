package rig

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// router is the load balancer: it sends each path to a process with the role for it, in turn. A process that refuses the
// connection is passed over; one that does not answer keeps its caller waiting, as it would in production.
type router struct {
	*httptest.Server
	next atomic.Uint64
}

func newRouter(t *testing.T, nodes []*Node) *router {
	r := &router{}
	byRole := map[string][]*Node{}
	for _, n := range nodes {
		for _, role := range n.roles {
			byRole[role] = append(byRole[role], n)
		}
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = "http"
			p.Out.Host = p.In.Host
		},
		Transport: &picker{r: r, byRole: byRole, base: &http.Transport{
			MaxIdleConnsPerHost: 128, MaxConnsPerHost: 512, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
		}},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	r.Server = httptest.NewServer(proxy)
	t.Cleanup(r.Close)
	return r
}

// picker chooses the process of each request.
type picker struct {
	r      *router
	byRole map[string][]*Node
	base   http.RoundTripper
}

func (p *picker) RoundTrip(req *http.Request) (*http.Response, error) {
	role := "sale"
	for _, prefix := range []string{"/v1/orders", "/v1/payment-callbacks", "/v1/events"} {
		if strings.HasPrefix(req.URL.Path, prefix) {
			role = "order"
		}
	}
	nodes := p.byRole[role]
	first := p.r.next.Add(1)
	var err error
	for i := range nodes {
		n := nodes[(first+uint64(i))%uint64(len(nodes))]
		out := req.Clone(req.Context())
		out.URL = &url.URL{Scheme: "http", Host: n.Addresses().Public, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
		var resp *http.Response
		if resp, err = p.base.RoundTrip(out); err == nil {
			return resp, nil
		}
		if e, ok := err.(*net.OpError); !ok || e.Op != "dial" {
			return nil, err
		}
	}
	return nil, err
}
