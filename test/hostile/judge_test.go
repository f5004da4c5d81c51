package hostile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"penstock/errs"
)

// tally counts answers and keeps what is wrong.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	wrong  []string
	total  int
	cut    int // no answer: the connection was closed
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) note(what, wrong string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	t.counts[what]++
	if wrong != "" {
		t.wrong = append(t.wrong, wrong)
	}
}

// judge says what the answer counts as, and what is wrong with it, or "".
func judge(r request, a answer) (kind, wrong string) {
	complain := func(format string, args ...any) (string, string) {
		return "wrong", fmt.Sprintf(format, args...) + fmt.Sprintf("\n  asked %s: %.300q\n  got %d %v\n  %.300q", r.listener, r.bytes, a.status, a.header, a.body)
	}
	if a.header.Get("X-Injected") != "" {
		return complain("a header of the attacker's")
	}
	if refusedByServer(a) {
		return "refused by net/http, closed: " + fmt.Sprint(a.status), ""
	}
	for _, name := range []string{"X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Cache-Control", "X-Request-Id"} {
		if len(a.header.Values(name)) != 1 {
			return complain("%s stands there %d times", name, len(a.header.Values(name)))
		}
	}
	media := a.header.Get("Content-Type")
	if a.status < 400 {
		if a.status == http.StatusSwitchingProtocols || a.status/100 == 3 && a.status != http.StatusNotModified && !page(r.path) {
			return complain("a status that nothing here answers with")
		}
		return fmt.Sprint(a.status/100, "xx"), ""
	}
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		return complain("an error of the server")
	}
	if r.method == "HEAD" {
		return fmt.Sprint(a.status), ""
	}
	var p struct {
		Type   string
		Status int
		Error  string
	}
	parsed := json.Unmarshal(a.body, &p)
	switch {
	case strings.HasPrefix(media, "application/problem+json"):
	case page(r.path) && strings.HasPrefix(media, "text/html") && strings.Contains(a.header.Get("Content-Security-Policy"), "nonce-"),
		strings.Contains(r.path, "/token") && media == "application/json" && p.Error != "", // OAuth 2.0 fixes these
		strings.HasPrefix(r.path, "/oidc/") && media == "application/json" && p.Error != "",
		strings.HasPrefix(r.path, "/oidc/userinfo"), strings.HasPrefix(r.path, "/debug/pprof/"):
		return fmt.Sprint(a.status, " of a login"), ""
	default:
		return complain("no problem")
	}
	code := errs.Code(strings.TrimPrefix(p.Type, "/problems/"))
	if parsed != nil || !listed(code) || code.Status() != a.status || p.Status != a.status {
		return complain("no listed problem")
	}
	if a.status >= 500 && code != errs.ReducedCapacity {
		return complain("an error of the server")
	}
	if (a.status == 429 || a.status == 503) && a.header.Get("Retry-After") == "" {
		return complain("no word of when to come again")
	}
	return fmt.Sprint(a.status, " ", code), ""
}

// refusedByServer reports what net/http says before there is a request: plain text, and the connection is closed.
func refusedByServer(a answer) bool {
	if !a.close || a.header.Get("X-Request-Id") != "" {
		return false
	}
	switch a.status {
	case 400, 408, 413, 417, 431, 501, 505:
		return true
	}
	return false
}

// page reports a path where people are answered, with a page.
func page(path string) bool {
	path = strings.TrimPrefix(path, "http://evil.example") // a target in absolute form
	return strings.HasPrefix(path, "/log") || strings.HasPrefix(path, "/oidc") || strings.HasPrefix(path, "/console") || strings.HasPrefix(path, "/shop") || path == "/"
}

func listed(code errs.Code) bool {
	for _, c := range errs.Codes() {
		if c == code {
			return true
		}
	}
	return false
}
