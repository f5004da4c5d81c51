package hostile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

// operation is a call of the published document.
type operation struct{ method, path string }

// operations reads the document.
func operations(t *testing.T) []operation {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	all := []operation{
		{"GET", "/login"}, {"POST", "/login"}, {"POST", "/logout"}, {"GET", "/oidc/authorize"}, {"POST", "/oidc/token"}, {"GET", "/oidc/userinfo"}, {"GET", "/oidc/end-session"}, {"GET", "/.well-known/openid-configuration"},
		{"GET", "/openapi.json"}, {"GET", "/problems/{name}"}, {"GET", "/health/{name}"}, {"GET", "/metrics"}, {"GET", "/debug/pprof/{name}"}, {"GET", "/{a}/{b}/{c}"}, {"GET", "/v1/{a}"}, {"GET", "/admin/v1/{a}/{b}"},
	}
	for path, methods := range doc.Paths {
		for m := range methods {
			if path == "/v1/sales/{sale}/actions" || strings.HasSuffix(path, "/oidc-keys/rotate") {
				continue
			}
			all = append(all, operation{strings.ToUpper(m), path})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// maker makes requests. It belongs to one goroutine.
type maker struct {
	*rand.Rand
	ops                     []operation
	buyers                  []string
	operator                string
	texts, numbers, members []string
	jsons, methods, schemes []string
	headers                 []header
}

func newMaker(seed, worker uint64, ops []operation, buyers []string, operator string) *maker {
	return &maker{
		Rand: rand.New(rand.NewPCG(seed, worker)), ops: ops, buyers: buyers, operator: operator,
		texts: texts(), numbers: numbers(), members: members(), jsons: jsons(), methods: methods(), schemes: schemes(), headers: headers(),
	}
}

func (m *maker) one(of []string) string  { return of[m.IntN(len(of))] }
func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// request is what is sent, and what of it the judge has to know.
type request struct {
	listener, method, path string
	bytes                  []byte
}

// next makes a request that ends where it says that it ends.
func (m *maker) next() request {
	op := m.ops[m.IntN(len(m.ops))]
	r := request{listener: "public", method: op.method}
	switch {
	case m.chance(5):
		r.listener = m.one([]string{"public", "admin", "probe"})
	case strings.HasPrefix(op.path, "/admin"), strings.HasPrefix(op.path, "/log"), strings.HasPrefix(op.path, "/oidc"), strings.HasPrefix(op.path, "/.well"):
		r.listener = "admin"
	case strings.HasPrefix(op.path, "/health"), op.path == "/metrics", strings.HasPrefix(op.path, "/debug"):
		r.listener = "probe"
	}
	if m.chance(10) {
		r.method = m.one(m.methods)
	}
	r.path = m.path(op.path)
	target := r.path + m.query()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, target)
	host := "x"
	if m.chance(3) {
		host = m.one([]string{"", "evil.example", "127.0.0.1:99999", "[::1", "a b", "x@y", strings.Repeat("h", 5000), marker + "/"})
	}
	fmt.Fprintf(&b, "Host: %s\r\n", host)
	m.authorize(&b, r.listener)
	body := m.body(op)
	if body != "" && m.chance(85) {
		b.WriteString("Content-Type: application/json\r\n")
	}
	if m.chance(60) {
		fmt.Fprintf(&b, "Idempotency-Key: \"k%d\"\r\n", m.IntN(1000))
	}
	for range m.IntN(3) {
		h := m.headers[m.IntN(len(m.headers))]
		for range 1 + m.IntN(8)/7 {
			fmt.Fprintf(&b, "%s: %s\r\n", h.name, oneLine(m.one(h.values)))
		}
	}
	if m.chance(1) {
		for i := range 300 {
			fmt.Fprintf(&b, "X-%d: y\r\n", i)
		}
	}
	switch {
	case m.chance(15) && body != "": // in chunks
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for len(body) > 0 {
			n := min(len(body), 1+m.IntN(20_000))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		b.WriteString("0\r\n\r\n")
	case body != "" || r.method == "POST":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		b.WriteString("\r\n")
	}
	r.bytes = []byte(b.String())
	return r
}

// oneLine keeps a header value from ending the header: what ends it is for the raw cases.
func oneLine(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

// path fills the places of a path: sometimes with what is there, mostly with what is not.
func (m *maker) path(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") {
			if m.chance(1) {
				parts[i] = m.segment()
			}
			continue
		}
		parts[i] = m.segment()
		if p == "{sale}" && m.chance(60) {
			parts[i] = "flash"
		}
		if p == "{name}" && m.chance(50) {
			parts[i] = m.one([]string{"orders", "claims", "sold-out", "ready", "heap"})
		}
	}
	path := strings.Join(parts, "/")
	if m.chance(2) {
		path = m.one([]string{"*", "//" + path, "/." + path, path + "/", path + "/..", path + "%00", "http://evil.example" + path, strings.Repeat("/a", 4000), path + ";x=1", "\\" + path, "/" + strings.Repeat("%2f", 100)})
	}
	return path
}

func (m *maker) segment() string {
	s := m.one(m.texts)
	if m.chance(25) {
		return fmt.Sprint(m.Uint64())
	}
	if m.chance(80) {
		return url.PathEscape(s)
	}
	return strings.Map(func(r rune) rune { // as it is, but within one line
		if r == ' ' || r == '\r' || r == '\n' || r == '?' {
			return '_'
		}
		return r
	}, s)
}

func (m *maker) query() string {
	if m.chance(60) {
		return ""
	}
	names := []string{"limit", "cursor", "sale", "state", "user", "after", "before", "day", "provider", "topic", "sku", "return", "client_id", "redirect_uri", "debug", "seconds", "reason", marker}
	var b strings.Builder
	for i := range 1 + m.IntN(4) {
		sep := "&"
		if i == 0 {
			sep = "?"
		} else if m.chance(5) {
			sep = ";"
		}
		name := m.one(names)
		if name == "seconds" || name == "debug" { // a profile is slow by design
			name = "limit"
		}
		value := url.QueryEscape(m.one(m.texts))
		if m.chance(40) {
			value = url.QueryEscape(m.one(m.numbers))
		}
		b.WriteString(sep + name + "=" + value)
	}
	return b.String()
}

func (m *maker) authorize(b *strings.Builder, listener string) {
	token := m.one(m.buyers)
	if listener == "admin" && m.chance(90) {
		token = m.operator
	}
	switch n := m.IntN(100); {
	case n < 85:
		fmt.Fprintf(b, "Authorization: Bearer %s\r\n", token)
	case n < 94:
		fmt.Fprintf(b, "Authorization: %s\r\n", strings.ReplaceAll(m.one(m.schemes), "TOKEN", token))
	case n < 97:
		fmt.Fprintf(b, "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", token, m.operator)
	}
}

// body is hostile JSON, hostile members in a body that a call takes, or nothing.
func (m *maker) body(op operation) string {
	if op.method == "GET" && !m.chance(5) {
		return ""
	}
	switch n := m.IntN(100); {
	case n < 5:
		return `{"sku":"sku-1","quantity":1}`
	case n < 30:
		return m.one(m.jsons)
	case n < 90:
		return m.fill(m.one(m.members))
	case n < 95:
		return m.spoilt(m.fill(m.one(m.members)))
	}
	return ""
}

// fill puts hostile values into the places of a body, mostly of the kind that belongs there.
func (m *maker) fill(s string) string {
	var b strings.Builder
	for i := range len(s) {
		hole := i > 0 && (s[i-1] == ':' || s[i-1] == '[')
		switch {
		case hole && s[i] == 'T' && m.chance(80):
			text, _ := json.Marshal(m.one(m.texts)) // a string always can be
			b.Write(text)
		case hole && (s[i] == 'T' || s[i] == 'N'):
			b.WriteString(m.one(m.numbers))
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// spoilt changes some bytes.
func (m *maker) spoilt(s string) string {
	b := []byte(s)
	for range 1 + m.IntN(4) {
		if len(b) > 0 {
			b[m.IntN(len(b))] = byte(m.Uint32())
		}
	}
	return string(b)
}
