package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Invalid is one thing wrong with upstreams or routes. Key is the path of the value in the file, such as routes[2].path.
type Invalid struct{ Key, What, Example string }

func (e *Invalid) Error() string { return e.Key + ": " + e.What }

func bad(key, example, format string, args ...any) error {
	return &Invalid{Key: key, What: fmt.Sprintf(format, args...), Example: example}
}

// check judges an upstream by itself.
func (u Upstream) check(key string) error {
	switch {
	case len(u.Targets) == 0:
		return bad(key, "targets: [http://10.0.0.5:9000]", "has no targets")
	case u.Connections < 0 || u.Connections > 100_000:
		return bad(key+".connections", "connections: 256", "must be between 1 and 100000")
	case u.Health != nil && !strings.HasPrefix(u.Health.Path, "/"):
		return bad(key+".health", "health: {path: /health}", "needs a path that begins with /")
	case u.Health != nil && (u.Health.Down < 0 || u.Health.Up < 0):
		return bad(key+".health", "health: {path: /health, down: 3, up: 2}", "counts must be 1 or more")
	case u.Ejection.Failures < 0:
		return bad(key+".ejection.failures", "failures: 5", "must be 1 or more")
	case (u.TLS.Cert == "") != (u.TLS.Key == ""):
		return bad(key+".tls", "tls: {cert: gateway.pem, key: gateway.key}", "needs cert and key together")
	}
	for i, t := range u.Targets {
		if t.Scheme != u.Targets[0].Scheme {
			return bad(key+".targets["+strconv.Itoa(i)+"]", "targets: [http://10.0.0.5:9000, http://10.0.0.6:9000]", "has another scheme than the first")
		}
		if slices.Contains(u.Targets[:i], t) {
			return bad(key+".targets["+strconv.Itoa(i)+"]", "targets: [http://10.0.0.5:9000, http://10.0.0.6:9000]", "stands there twice")
		}
	}
	return nil
}

// method returns the method of a pattern, "" for any, and its path.
func (r Route) method() (method, path string) {
	if m, p, ok := strings.Cut(r.Match, " "); ok {
		return m, strings.TrimLeft(p, " ")
	}
	return "", r.Match
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// check judges a route by itself.
func (r Route) check(key string) error {
	method, path := r.method()
	for _, c := range []struct {
		wrong              bool
		key, example, what string
	}{
		{!strings.HasPrefix(path, "/"), ".match", "match: GET /v1/products/{id}", "must be a method and a path"},
		{method != strings.ToUpper(method), ".match", "match: GET /v1/products/{id}", "has a method in small letters: it would match no call"},
		{method == http.MethodConnect || method == http.MethodTrace, ".match", "match: GET /v1/products/{id}", "has a method that is not forwarded"},
		{strings.HasSuffix(path, "/") || strings.Contains(path, "{$}"), ".match", "match: GET /ext/{rest...}", "ends with a slash: no such path is served; write {rest...} for all below"},
		{(r.Upstream == "") == (len(r.Split) == 0), "", "upstream: catalog", "needs either upstream or split"},
		{r.Credentials != "" && r.Credentials != "pass", ".credentials", "credentials: pass", "is not pass"},
		{r.Problems != "" && r.Problems != "wrap", ".problems", "problems: wrap", "is not wrap"},
		{r.Stream != "" && r.Stream != "events" && r.Stream != "websocket", ".stream", "stream: events", "is neither events nor websocket"},
		{r.Stream == "websocket" && method != http.MethodGet, ".stream", "match: GET /live", "a WebSocket begins with GET"},
		{r.Stream != "" && (r.Request != nil || r.Response != nil || r.GRPC != nil), ".stream", "stream: events", "passes as it is: nothing in a stream is converted"},
		{r.Stream == "" && (r.Streams != 0 || r.Idle != 0 || len(r.Origins) > 0), ".stream", "stream: events", "is missing: streams, idle and origins are about streams"},
		{r.Streams < 0, ".streams", "streams: 1000", "must be 1 or more"},
		{r.Retries.Times < 0 || r.Retries.Times > 5, ".retries.times", "times: 2", "must be between 0 and 5"},
		{r.Hedge > 0 && !reads(method), ".hedge", "match: GET /v1/products/{id}", "is for GET and HEAD only: a hedge executes twice"},
		{r.Try > 0 && r.Try.or(0) > r.Timeout.or(defaultTimeout), ".try", "try: 1s", "is longer than the timeout of the route"},
		{r.OpenAPI != "" && method == "", ".openapi", "match: GET /v1/products/{id}", "needs a route with a method"},
		{r.GRPC != nil && (r.Request != nil || r.Response != nil), ".grpc", "grpc: {descriptors: prices.pb, method: shop.v1.Prices/Get}", "converts by itself: leave out request and response"},
		{r.Identity && r.Fallback != nil, ".fallback", "leave it out", "cannot be: the route answers who somebody is, and that is never guessed"},
	} {
		if c.wrong {
			return bad(key+c.key, c.example, "%s", c.what)
		}
	}
	for i, origin := range r.Origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.Contains(u.Host, "*") {
			return bad(key+".origins["+strconv.Itoa(i)+"]", "origins: [\"https://shop.example.com\"]", "is no site: scheme and host, and no more")
		}
	}
	if err := r.Fallback.check(key+".fallback", method); err != nil {
		return err
	}
	for name, c := range map[string]*Conversion{"request": r.Request, "response": r.Response} {
		if err := c.check(key+"."+name, name == "request"); err != nil {
			return err
		}
	}
	return r.checkHeaders(key)
}

func (r Route) checkHeaders(key string) error {
	for name, h := range map[string]Headers{"headers": r.Headers, "answer": r.Answer} {
		for header, value := range h.Set {
			canonical := http.CanonicalHeaderKey(header)
			if !token(header) || strings.ContainsAny(value, "\r\n\x00") || hop(canonical) || name == "headers" && slices.Contains(ours, canonical) {
				return bad(key+"."+name+".set."+header, "set: {X-Shop: main}", "cannot be set")
			}
		}
	}
	return nil
}

// token reports the name of a header.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

func (f *Fallback) check(key, method string) error {
	switch {
	case f == nil:
		return nil
	case (f.Upstream == "") == (f.Status == 0):
		return bad(key, "fallback: {status: 200, body: '{\"items\":[]}'}", "needs either upstream or status")
	case f.Status != 0 && !reads(method):
		return bad(key, "fallback: {upstream: other}", "a default answer to a call that changes something would say that it was done")
	case f.Status != 0 && (f.Status < 200 || f.Status > 299):
		return bad(key+".status", "status: 200", "must be 2xx: whatever is no answer is a problem anyway")
	}
	return nil
}
