package gateway

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/docs/problems"
	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

var update = flag.Bool("update", false, "write docs/answers.md")

const answersPage = "../docs/answers.md"

// refuse is the answer of a handler that fails with the code, as the client gets it.
func refuse(t *testing.T, code errs.Code, said time.Duration) *httptest.ResponseRecorder {
	t.Helper()
	b := setup(t, Options{Random: func() uint64 { return 0 }}, func(_ http.ResponseWriter, r *http.Request) {
		FromContext(r.Context()).Fail(&errs.Error{Code: code, Detail: "d", RetryAfter: said})
	})
	return b.do(httptest.NewRequest("GET", "/x", nil))
}

// The page of the answers says of each code what clients really get, and nothing of others.
func TestAnswersPage(t *testing.T) {
	t.Parallel()
	codes := errs.Codes()
	slices.SortFunc(codes, func(a, b errs.Code) int { return cmp.Or(a.Status()-b.Status(), strings.Compare(string(a), string(b))) })
	var table strings.Builder
	table.WriteString("| type | status | `Retry-After` | `Cache-Control` | `executed` |\n|---|---|---|---|---|\n")
	for _, code := range codes {
		silent, told := refuse(t, code, 0), refuse(t, code, time.Hour)
		wait := "when it is known"
		switch alone, asked := silent.Header().Get("Retry-After"), told.Header().Get("Retry-After"); {
		case asked == "" && alone == "":
			wait = "never"
		case asked != "3600":
			t.Errorf("%s: told to wait an hour, it says %q", code, asked)
		case alone != "":
			wait = "always, at least " + alone + " s"
		case code == errs.SaleNotOpen:
			wait = "until `opensAt`"
		}
		own, err := problems.Pages.ReadFile(string(code) + ".md")
		if err != nil || strings.Contains(string(own), "**Retry-After.** Not sent.") != (wait == "never") {
			t.Errorf("the page of %s tells another story than Retry-After: %s (%v)", code, wait, err)
		}
		executed := "–"
		for _, v := range []string{"false", "null"} {
			if strings.Contains(silent.Body.String(), `"executed":`+v) {
				executed = "`" + v + "`"
			}
		}
		cache := silent.Header().Get("Cache-Control")
		if vary := silent.Header().Get("Vary"); vary != "" {
			cache += "`, by `" + vary
		}
		fmt.Fprintf(&table, "| [%s](problems/%s.md) | %d | %s | `%s` | %s |\n", code, code, code.Status(), wait, cache, executed)
	}
	page, err := os.ReadFile(answersPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- terms -->\n", "<!-- /terms -->"
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, also := strings.Cut(rest, end)
	want := head + begin + table.String() + end + tail
	switch {
	case !ok || !also:
		t.Fatalf("%s has no place for the table", answersPage)
	case *update:
		if err := os.WriteFile(answersPage, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	case want != string(page):
		t.Errorf("%s is out of date: go test ./gateway -run TestAnswersPage -update", answersPage)
	}
}

// A code promises the same whether a room, a stage or an attempt answers with it; 429 and 503 always say when to come again and
// what was executed; what is final says nothing of coming again; nothing but a final no may be kept.
func TestTermsHoldOnBothPaths(t *testing.T) {
	t.Parallel()
	for _, code := range errs.Codes() {
		if _, attempted := details[code]; !attempted || code == errs.Internal {
			continue
		}
		b := setup(t, Options{Random: func() uint64 { return 0 }}, nil)
		b.room.answer = func(stock.Request) stock.Answer {
			a := stock.Answer{State: stock.Lost, Reason: code, SKU: "sku-1", RetryAfter: 3 * time.Second}
			if code == errs.SoldOut || code == errs.LimitReached {
				a.Attempt = &driver.Attempt{ID: 1, Reason: code}
			}
			return a
		}
		attempt, other := b.attempt(oneItem), refuse(t, code, 3*time.Second)
		for _, name := range []string{"Retry-After", "Cache-Control", "Vary"} {
			if a, o := attempt.Header().Get(name), other.Header().Get(name); a != o {
				t.Errorf("%s: %s is %q on the attempt path, %q elsewhere", code, name, a, o)
			}
		}
		if a, o := strings.Contains(attempt.Body.String(), `"executed":false`), strings.Contains(other.Body.String(), `"executed":false`); a != o {
			t.Errorf("%s: executed: %v on the attempt path, %v elsewhere", code, a, o)
		}
		if s := code.Status(); (s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable) && (attempt.Header().Get("Retry-After") == "" || !strings.Contains(attempt.Body.String(), `"executed":`)) {
			t.Errorf("%s: %v %s", code, attempt.Header(), attempt.Body)
		}
		if cache := attempt.Header().Get("Cache-Control"); cache != noStore && (code != errs.SoldOut || attempt.Header().Get("Vary") == "") {
			t.Errorf("%s may be kept: %q", code, cache)
		}
	}
}

// Whoever waits for an opening as told is at most two seconds late, however long the wait is and whatever is drawn, and never
// early.
func TestWaitForOpeningIsNotSpread(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{time.Millisecond, 999 * time.Millisecond, time.Minute, 24 * time.Hour} {
		for draw := range uint64(20) {
			b := setup(t, Options{Random: func() uint64 { return draw }}, nil)
			b.room.answer = func(stock.Request) stock.Answer {
				return stock.Answer{State: stock.Lost, Reason: errs.SaleNotOpen, OpensAt: start.Add(wait), RetryAfter: wait}
			}
			w := b.attempt(oneItem)
			n, err := strconv.Atoi(w.Header().Get("Retry-After"))
			late := time.Duration(n)*time.Second - wait
			if err != nil || late < 0 || late > 2*time.Second || !strings.Contains(w.Body.String(), `"opensAt"`) {
				t.Errorf("%v away: Retry-After %q, %s", wait, w.Header().Get("Retry-After"), w.Body)
			}
		}
	}
}

// Every answer has the headers of protection: wins, refusals by a stage, by a room and by a router, and panics; over TLS also the
// one that keeps to it. A handler may replace what does not fit, and other answers are not touched by it.
func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{MaxBody: 100}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("x")
		case "/kept":
			w.Header().Add("Vary", "Accept")
			w.Header().Set("Cache-Control", "public, max-age=60")
		}
		w.WriteHeader(http.StatusOK)
	})
	get := func(path string) *httptest.ResponseRecorder { return b.do(httptest.NewRequest("GET", path, nil)) }
	secure := b.do(httptest.NewRequest("GET", "https://shop.example/x", nil))
	if secure.Header().Get("Strict-Transport-Security") == "" || get("/x").Header().Get("Strict-Transport-Security") != "" {
		t.Errorf("over TLS: %v", secure.Header())
	}
	for what, w := range map[string]*httptest.ResponseRecorder{
		"a win": b.attempt(oneItem), "too large": b.attempt(strings.Repeat(" ", 200)), "no token": b.attempt(oneItem, header("Authorization", "")),
		"kept": get("/kept"), "after kept": get("/x"), "panic": get("/panic"), "secure": secure,
	} {
		h := w.Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if h.Get(name) != want || len(h.Values(name)) != 1 {
				t.Errorf("%s: %s is %q", what, name, h.Values(name))
			}
		}
		if kept := h.Get("Cache-Control") != noStore; kept != (what == "kept") {
			t.Errorf("%s: Cache-Control %q", what, h.Get("Cache-Control"))
		}
	}
}

// A service behind the gateway decides for its own pages: its header takes the place of ours and does not stand beside it.
func TestServicesBehindDecideForTheirPages(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	c := &Call{W: w, R: httptest.NewRequest("GET", "/x", nil), elsewhere: true}
	g := &Gateway{fixed: newFixed()}
	g.protect(c)
	c.Header().Add("Content-Security-Policy", "default-src 'self'")
	c.WriteHeader(http.StatusOK)
	if got := w.Header().Values("Content-Security-Policy"); len(got) != 1 || got[0] != "default-src 'self'" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", w.Header())
	}
	if g.fixed.content[0] != "default-src 'none'; frame-ancestors 'none'" {
		t.Errorf("the shared value was written to: %v", g.fixed.content)
	}
}

// What the table calls the least Retry-After holds also where the room behind says less.
func TestLeastRetryAfter(t *testing.T) {
	t.Parallel()
	for _, code := range []errs.Code{errs.StockHeld, errs.SalePaused} {
		b := setup(t, Options{Random: func() uint64 { return 0 }}, nil)
		b.room.answer = func(stock.Request) stock.Answer {
			return stock.Answer{State: stock.Lost, Reason: code, RetryAfter: time.Second}
		}
		if got := b.attempt(oneItem).Header().Get("Retry-After"); got != "2" {
			t.Errorf("%s: Retry-After is %q, the table says at least 2 s", code, got)
		}
	}
}
