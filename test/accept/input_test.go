package accept

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	hostileValues = []any{nil, true, 0, -1, 1.5, json.Number("1e18"), json.Number("9223372036854775808"), "", "x", strings.Repeat("x", 5000),
		"\x00", "'; DROP TABLE claims;--", "<script>", "../../etc/passwd", "\u202e", []any{}, obj{}, []any{[]any{[]any{}}}, "2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z"}
	hostileBodies = []string{"", "null", "[]", "{", `"`, "{}{}", "\xff\xfe", "\xef\xbb\xbf{}", "NaN", "{'sku':'a'}", `{"sku":"a","quantity":01}`,
		`{"sku":"a","sku":"b","quantity":1}`, `{"sku":"\ud800","quantity":1}`, strings.Repeat("[", 9000), strings.Repeat(`{"a":`, 9000), strings.Repeat("1", 400)}
	hostilePaths   = []string{"nope", "0", "-1", "99999999999999999999999", "..%2f..%2f", "%00", "%ff%fe", "%E2%80%AE", "'%20OR%201=1", "%2e%2e", "a%2Fb", strings.Repeat("a", 300)}
	hostileQueries = []string{"limit=-1", "limit=x", "limit=99999999999999999999", "cursor=%25%25", "cursor=AAAA", "%zz", "limit=1;cursor=2", "cursor=%00", "sale=%00", "all=maybe"}
	hostileHeaders = [][2]string{{"Content-Type", "text/plain"}, {"Content-Type", "application/json;;;"}, {"Content-Encoding", "br"}, {"Accept", "garbage"},
		{"If-Match", strings.Repeat("x", 500)}, {"If-Match", "*"}, {"Idempotency-Key", ""}, {"Idempotency-Key", `"a`}, {"Idempotency-Key", strings.Repeat("k", 300)},
		{"traceparent", "00-zz"}, {"Authorization", "Bearer " + strings.Repeat("a.", 900)}, {"If-None-Match", `"`}, {"Last-Event-ID", "-1"}}
	members = []string{"sku", "quantity", "items", "method", "outcome", "afterMs", "amount", "returnStock", "reason", "action", "delta", "id", "title", "startsAt", "price", "user", "__proto__"}
	inBrace = regexp.MustCompile(`\{[a-z]+\}`)
	inside  = regexp.MustCompile(`(?i)goroutine|panic|\.go:|sqlite|constraint failed|/tmp/|huma`)
)

type route struct{ method, path string }

// routes is what the published description lists, in a stable order.
func routes(t *testing.T) []route {
	t.Helper()
	raw, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var all []route
	for path, methods := range doc.Paths {
		for m := range methods {
			if path != "/v1/events" { // a stream that does not end
				all = append(all, route{strings.ToUpper(m), path})
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path+all[i].method < all[j].path+all[j].method })
	return all
}

func problemNames(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../docs/problems/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no problem pages", err)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[strings.TrimSuffix(filepath.Base(f), ".md")] = true
	}
	return names
}

// oauthToken is the one call whose own refusals have the form of RFC 6749; those of the stages before it are problems.
const oauthToken = "/oauth2/token"

// Hostile bodies, headers, paths and queries on every published route never give a 5xx, and every refusal is a problem of a
// listed type, always with the same status, that tells nothing of the inside.
func TestHostileInputIsRefusedClearly(t *testing.T) {
	t.Parallel()
	seed, err := strconv.ParseUint(os.Getenv("ACCEPT_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("ACCEPT_SEED=%d", seed)
	r, names, all, statuses := rand.New(rand.NewPCG(seed, 1)), problemNames(t), routes(t), map[string]int{}
	sale, user := shared.sale(t, definition(item(9, 9))), shared.token(t, unique("hostile"))
	order := shared.won(t, sale, user, 1)
	for range 900 {
		c := all[r.IntN(len(all))]
		path := inBrace.ReplaceAllStringFunc(c.path, func(name string) string {
			if r.IntN(2) == 0 {
				return hostilePaths[r.IntN(len(hostilePaths))]
			}
			return map[string]string{"{sale}": sale, "{order}": order, "{provider}": "sandbox", "{name}": "claims"}[name]
		})
		if r.IntN(4) == 0 {
			path += "?" + hostileQueries[r.IntN(len(hostileQueries))]
		}
		listener, token := "public", user
		if strings.HasPrefix(c.path, "/admin/") {
			listener, token = "admin", shared.operator
		}
		with := []string{"Idempotency-Key", fmt.Sprint(r.Uint64())}
		if r.IntN(2) == 0 {
			h := hostileHeaders[r.IntN(len(hostileHeaders))]
			with = append(with, h[0], h[1])
		}
		var body any
		if c.method != "GET" {
			body = hostileBody(r)
		}
		a := shared.call(listener, c.method, path, token, body, with...)
		if a.err == nil && a.status < 400 {
			continue
		}
		text, said := string(a.body), fmt.Sprintf("%s %s %v %.200s\n%v", c.method, path, with, body, a)
		if c.path == oauthToken && a.err == nil && a.status < 500 && a.text("error") != "" {
			if inside.MatchString(text) {
				t.Fatalf("the answer tells of the inside: %s", said)
			}
			continue
		}
		switch p := a.problem(); {
		case a.err != nil, a.status >= 500, !names[p], a.number("status") != fmt.Sprint(a.status):
			t.Fatalf("not a clear refusal: %s", said)
		case statuses[p] != 0 && statuses[p] != a.status:
			t.Fatalf("%s has two statuses, %d and %d: %s", p, statuses[p], a.status, said)
		case inside.MatchString(strings.ReplaceAll(text, a.text("instance"), "")):
			t.Fatalf("the answer tells of the inside: %s", said)
		default:
			statuses[p] = a.status
		}
	}
	if len(statuses) < 6 {
		t.Errorf("only %v were provoked", statuses)
	}
	if got := shared.public("GET", "/v1/orders/"+order, user, nil); got.status != 200 {
		t.Errorf("afterwards the order is gone: %v", got)
	}
}

func hostileBody(r *rand.Rand) []byte {
	if r.IntN(5) == 0 {
		return []byte(hostileBodies[r.IntN(len(hostileBodies))])
	}
	o := obj{}
	for range r.IntN(5) {
		o[members[r.IntN(len(members))]] = hostileValues[r.IntN(len(hostileValues))]
	}
	raw, _ := json.Marshal(o)
	return raw
}

// Bodies that are too long, without an end, packed, or not UTF-8 are refused after little reading, and nothing is bought.
func TestHugeAndPackedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	sale, user := shared.sale(t, definition(item(9, 9))), shared.token(t, unique("huge"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(`{"sku":"a","quantity":1}`))
	z.Close()
	shared.attempt(sale, user, "k1", []byte(`{"sku":"`+strings.Repeat("a", 70000)+`"}`)).is(t, "70 kB", 413, "body-too-large")
	shared.attempt(sale, user, "k2", packed.Bytes()).is(t, "packed, not said", 400, "invalid-request")
	shared.public("POST", "/v1/sales/"+sale+"/attempts", user, packed.Bytes(), "Idempotency-Key", "k3", "Content-Encoding", "gzip").is(t, "packed", 415, "unsupported-media-type")
	for _, quantity := range []string{"0", "-1", "10001", "1.5", `"1"`, "true", "null", "1e30"} {
		shared.attempt(sale, user, unique("q"), []byte(`{"sku":"a","quantity":`+quantity+`}`)).is(t, "quantity "+quantity, 400, "invalid-request")
	}
	shared.attempt(sale, user, "k4", obj{"sku": "a", "quantity": 1, "price": 1}).is(t, "own price", 400, "invalid-request")
	shared.attempt(sale, user, "k5", obj{"items": []obj{one(1), one(1)}}).is(t, "one SKU twice", 400, "invalid-request")

	c, err := net.DialTimeout("tcp", shared.address("public"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	fmt.Fprintf(c, "POST /v1/sales/%s/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: e\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", sale, user)
	answered, sent := make(chan string, 1), 0
	go func() {
		head := make([]byte, 64)
		n, _ := io.ReadAtLeast(c, head, 12)
		answered <- string(head[:n])
	}()
	for chunk := fmt.Sprintf("1000\r\n%s\r\n", strings.Repeat(" ", 4096)); sent < 64<<20; sent += len(chunk) {
		if _, err := io.WriteString(c, chunk); err != nil {
			break
		}
	}
	if got := <-answered; !strings.HasPrefix(got, "HTTP/1.1 413") && sent >= 64<<20 {
		t.Errorf("after %d bytes of a body without end: %q", sent, got)
	}
	if l := shared.stock(t, sale)[0]; l.Held != 0 {
		t.Errorf("something was bought: %+v", l)
	}
}
