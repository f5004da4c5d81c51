package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// operate runs a subcommand in this process against a server that answers with h.
func operate(t *testing.T, h http.HandlerFunc, args ...string) (code int, out, err string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	var o, e bytes.Buffer
	code = run(t.Context(), &env{in: strings.NewReader(""), out: &o, err: &e}, append(args, "--url", srv.URL, "--token", "t"))
	return code, o.String(), e.String()
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func problemOf(status int, name string) http.HandlerFunc {
	return answer(status, "application/problem+json", `{"type":"https://x/problems/`+name+`","title":"T","status":1,"detail":"because"}`)
}

// What a server says decides the exit code: a definite no is a failed job, a wrong call is wrong usage, and whatever leaves the
// outcome open or the work undone is something not reached.
func TestAnswersDecideTheExitCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		code int
		want string
	}{
		"no such thing": {problemOf(404, "not-found"), 1, "not-found"},
		"our defect":    {problemOf(500, "internal"), 1, "internal"},
		"not signed in": {problemOf(401, "unauthenticated"), 2, "penstock token"},
		"wrong role":    {problemOf(403, "forbidden"), 2, "--role operator"},
		"wrong body":    {problemOf(400, "invalid-request"), 2, "because"},
		"too fast":      {problemOf(429, "quota-exceeded"), 3, "nothing was executed"},
		"shed":          {problemOf(503, "reduced-capacity"), 3, "nothing was executed"},
		"not known":     {problemOf(503, "unknown-outcome"), 3, "look before repeating"},
		"a proxy":       {answer(502, "text/html", "<html>"), 3, "502"},
		"a redirect":    {answer(302, "text/html", ""), 3, "admin listener"},
		"another site":  {answer(200, "text/html", "<html>"), 1, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, stderr := operate(t, c.h, "sale", "show", "s1")
			if code != c.code || !strings.Contains(stderr, c.want) || out != "" {
				t.Errorf("exit code %d, want %d; %q not in %q; output %q", code, c.code, c.want, stderr, out)
			}
		})
	}
}

// An answer that breaks off is never taken for a whole one: a call says that it may have happened, an export leaves no file.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	broken := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":"1"}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if code, _, stderr := operate(t, broken, "order", "cancel", "1", "--reason", "r"); code != 3 || !strings.Contains(stderr, "may have been executed") {
		t.Errorf("call: %d %s", code, stderr)
	}
	if code, out, stderr := operate(t, broken, "export", "orders"); code != 3 || !strings.Contains(stderr, "not whole") || !strings.Contains(out, `{"id":"1"}`) {
		t.Errorf("export: %d %s %s", code, out, stderr)
	}
	file := filepath.Join(t.TempDir(), "orders.ndjson")
	if code, _, stderr := operate(t, broken, "export", "orders", "-o", file); code != 3 {
		t.Errorf("export to a file: %d %s", code, stderr)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if code, _, stderr := operate(t, answer(200, "application/x-ndjson", "{}\n"), "export", "orders", "-o", file); code != 0 {
		t.Errorf("whole export: %d %s", code, stderr)
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "{}\n" {
		t.Errorf("whole export: %q %v", raw, err)
	}
}

// What a buyer or a server chose cannot steer the operator's terminal.
func TestOutputIsInert(t *testing.T) {
	t.Parallel()
	const hostile = "\\u001b[2Jbought\\u0007\\u009b\\u202e"
	for name, h := range map[string]http.HandlerFunc{
		"list":    answer(200, "application/json", `{"items":[{"id":"1","user":"`+hostile+`","items":[]}],"next":"`+hostile+`"}`),
		"problem": answer(404, "application/problem+json", `{"type":"/problems/`+hostile+`","detail":"`+hostile+`","errors":[{"pointer":"`+hostile+`","detail":"`+hostile+`"}]}`),
	} {
		_, out, stderr := operate(t, h, "order", "list")
		if all := out + stderr; strings.ContainsAny(all, "\x1b\x07\u009b\u202e") || !strings.Contains(all, "bought") {
			t.Errorf("%s: %q", name, all)
		}
	}
}

// Calls carry what they promise: the token, a key that makes a repeat harmless, the version seen, ids that stay one path element.
func TestCallsCarryTheirHeaders(t *testing.T) {
	t.Parallel()
	var got []*http.Request
	h := func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r)
		w.Header().Set("ETag", `"7"`)
		_, _ = w.Write([]byte(`{}`))
	}
	operate(t, h, "order", "refund", "1/../2", "--reason", "r")
	operate(t, h, "sale", "patch", "s1", "--title", "t")
	if len(got) != 3 {
		t.Fatalf("%d calls", len(got))
	}
	if r := got[0]; r.URL.EscapedPath() != "/admin/v1/orders/1%2F..%2F2/refunds" || r.Header.Get("Authorization") != "Bearer t" || !strings.HasPrefix(r.Header.Get("Idempotency-Key"), `"cli-`) {
		t.Errorf("refund: %s %v", r.URL.EscapedPath(), r.Header)
	}
	if r := got[2]; r.Method != http.MethodPatch || r.Header.Get("If-Match") != `"7"` {
		t.Errorf("patch: %s %v", r.Method, r.Header)
	}
}

// Differences that stay open fail the job, in both forms of output; repaired ones do not.
func TestReconcileFailsOnOpenDifferences(t *testing.T) {
	t.Parallel()
	open := answer(200, "application/json", `{"items":[{"kind":"order","object":"1","expected":"a","found":"b"}],"next":""}`)
	mended := answer(200, "application/json", `{"items":[{"kind":"order","object":"1","expected":"a","found":"b","repaired":true}],"next":""}`)
	partial := answer(200, "application/json", `{"items":[],"next":"","complete":false,"waiting":3,"gaps":[{"kind":"claim-without-order","count":2,"why":"messages are on their way"}]}`)
	for _, json := range [][]string{nil, {"--json"}} {
		if code, out, stderr := operate(t, open, append([]string{"reconcile"}, json...)...); code != 1 || !strings.Contains(stderr, "1 difference") || out == "" {
			t.Errorf("open %v: %d %s %s", json, code, out, stderr)
		}
		if code, _, stderr := operate(t, mended, append([]string{"reconcile", "--repair", "--reason", "r"}, json...)...); code != 0 {
			t.Errorf("mended %v: %d %s", json, code, stderr)
		}
		if code, out, stderr := operate(t, partial, append([]string{"reconcile"}, json...)...); code != 1 || !strings.Contains(stderr, "not complete") || !strings.Contains(out, "messages are on their way") {
			t.Errorf("partial %v: %d %s %s", json, code, out, stderr)
		}
	}
}

// A configuration that show prints is one that check accepts, and version names the engines.
func TestConfigAndVersion(t *testing.T) {
	t.Parallel()
	_, shown, _ := process(t, []string{"PENSTOCK_PAYMENT_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "config", "show", "--pprof", "--limits-ip", "off")
	if !strings.Contains(shown, "pprof: true") || !strings.Contains(shown, "ip: off") || strings.Contains(shown, "MfKQ") {
		t.Error(shown)
	}
	_, example, _ := process(t, nil, "config", "example")
	file := filepath.Join(t.TempDir(), "penstock.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := process(t, nil, "config", "check", "--config", file); code != 0 || !strings.Contains(out, "valid") {
		t.Errorf("check: %d %s", code, stderr)
	}
	if code, out, _ := process(t, nil, "version", "--json"); code != 0 || !strings.Contains(out, `"sqlite"`) || !strings.Contains(out, `"commit"`) {
		t.Errorf("version: %d %s", code, out)
	}
}
