package egress

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Options tunes a client. The zero value works.
type Options struct {
	// Timeout bounds a call as a whole and each of its steps; 0 means 10 s.
	Timeout time.Duration
	// TLS is for tests; nil means the machine's roots.
	TLS *tls.Config
	// Idle is how many unused connections are kept in all; 0 means 100.
	Idle int
}

const maxHeaders = 32 << 10 // bytes of the header of an answer

// Client returns a client that connects only where the guard lets it, follows nothing and knows no proxy.
func Client(g Guard, o Options) *http.Client {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = 100
	}
	return &http.Client{
		CheckRedirect: Refuse, Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext: g.Dialer().DialContext, TLSClientConfig: o.TLS, TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout,
			MaxResponseHeaderBytes: maxHeaders, MaxIdleConnsPerHost: 2, MaxIdleConns: o.Idle, IdleConnTimeout: 30 * time.Second,
			ForceAttemptHTTP2: true, DisableCompression: true,
		},
	}
}

// Fixed returns a client for addresses that only the operator can name. A nil transport means the default one.
func Fixed(transport http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: Refuse}
}

// Refuse hands a redirect back as the answer, which then counts as a failure: it would lead where nobody has looked.
func Refuse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
