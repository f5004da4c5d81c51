package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"penstock/auth"
)

// asPenstock makes the test binary be penstock, so that tests drive a real process with real exit codes and signals.
const asPenstock = "AS_PENSTOCK=1"

func TestMain(m *testing.M) {
	if os.Getenv("AS_PENSTOCK") == "1" {
		main()
	}
	os.Exit(m.Run())
}

// command returns penstock as a process, in an environment with nothing else in it, in a directory of its own.
func command(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append([]string{asPenstock, "PATH=/usr/bin:/bin"}, environ...)
	c.Dir = t.TempDir()
	return c
}

// process runs penstock to its end.
func process(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := command(t, environ, args...)
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	if e := c.Run(); e != nil {
		if _, ok := errors.AsType[*exec.ExitError](e); !ok {
			t.Fatal(e)
		}
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

// Wrong usage, wrong configuration and an absent server are told in a line and a hint, with the exit code for each, never with
// a stack or a page of help.
func TestRefusalsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("limts: {ip: 1/s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	notJSON := filepath.Join(dir, "sale.json")
	if err := os.WriteFile(notJSON, []byte(`{"title":`), 0o600); err != nil {
		t.Fatal(err)
	}
	const nowhere = "http://127.0.0.1:1"
	there := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(there.Close)
	for _, c := range []struct {
		args    string
		environ []string
		code    int
		want    []string
	}{
		{"sevre", nil, 2, []string{`"sevre"`, "did you mean `penstock serve`?"}},
		{"sevre --data x", nil, 2, []string{`"sevre"`}},
		{"sale lst --url x", nil, 2, []string{`"lst"`, "`penstock sale list`"}},
		{"sale", nil, 2, []string{"needs a subcommand", "create"}},
		{"serve --lisen-public :0", nil, 2, []string{"--lisen-public", "did you mean --listen-public?"}},
		{"serve extra", nil, 2, []string{"takes no arguments", `"extra"`}},
		{"serve --target front", nil, 2, []string{`"front"`, "the roles are all, sale"}},
		{"serve --listen-public nonsense", nil, 2, []string{"listen.public", `"nonsense"`, "host:port", "0.0.0.0:8080"}},
		{"serve --stock postgres://root:hunter2@db/x", nil, 2, []string{"stock", "not an engine", "root:***@db"}},
		{"config check --bus kafka://u:hunter2@b:1/x", nil, 2, []string{"bus", "kafka://u:***@b:1/x", "topic-prefix"}},
		{"serve --data " + dir + " --stock mysql://root:hunter2@127.0.0.1:1/x --listen-probe 127.0.0.1:0", nil, 3, []string{"stock", "mysql://root:***@127.0.0.1:1/x", "start it"}},
		{"serve --config " + bad, nil, 2, []string{"limts.ip", "did you mean limits.ip?"}},
		{"serve --config /nowhere.yaml", nil, 2, []string{"/nowhere.yaml", "cannot be read"}},
		{"serve", []string{"PENSTOCK_DTAA=/x"}, 2, []string{"PENSTOCK_DTAA", "did you mean PENSTOCK_DATA?"}},
		{"serve --data /proc/penstock", nil, 3, []string{"/proc/penstock"}},
		{"config check", []string{"PENSTOCK_CONFIG=" + bad, "PENSTOCK_NODE=x"}, 2, []string{"limts.ip", "node"}},
		{"config show --pprof=maybe", nil, 2, []string{"pprof", `"maybe"`}},
		{"token", nil, 2, []string{"--user is missing"}},
		{"token --user app:x", nil, 2, []string{"an app and nobody else", "/oauth2/token"}},
		{"token --user u --reason x", nil, 2, []string{"unknown flag: --reason", "lists the flags"}},
		{"serve --apps-token-ttl x", nil, 2, []string{"apps.tokenTTL", "unit"}},
		{"token --user u --role king", nil, 2, []string{`"king"`, "operator"}},
		{"token --user u --for -1h", nil, 2, []string{"--for"}},
		{"token --user u --for soon", nil, 2, []string{"soon"}},
		{"token --user u --count -1", nil, 2, []string{"--count"}},
		{"key list --data " + dir, nil, 3, []string{"no key ring"}},
		{"sale list --data " + dir + " --url " + there.URL, nil, 2, []string{"no operator token", "--token"}},
		{"sale list --data " + dir + " --url " + nowhere, nil, 3, []string{nowhere, "is the server running?"}},
		{"sale list --token t --url " + nowhere, nil, 3, []string{nowhere, "refused"}},
		{"sale list", []string{"PENSTOCK_TOKEN=t", "PENSTOCK_URL=" + nowhere}, 3, []string{nowhere}},
		{"sale list --token t --url ftp://x", nil, 2, []string{"ftp://x", "not an http(s) URL"}},
		{"sale create --token t", nil, 2, []string{"-f is missing"}},
		{"sale create --token t -f " + notJSON, nil, 2, []string{"not a JSON object"}},
		{"sale create --token t -f /nowhere.json", nil, 2, []string{"/nowhere.json"}},
		{"sale show --token t", nil, 2, []string{"takes 1 argument", "`penstock sale show SALE`"}},
		{"sale patch s1 --token t", nil, 2, []string{"nothing to change"}},
		{"sale stock s1 --token t --sku a --add 1 --withdraw 1 --reason r", nil, 2, []string{"not one change"}},
		{"sale stock s1 --token t --add 1 --reason r", nil, 2, []string{"--sku is missing"}},
		{"sale action s1 fly --token t --reason r", nil, 2, []string{`"fly"`, "force_sold_out"}},
		{"sale action s1 close --token t", nil, 2, []string{"--reason is missing"}},
		{"order refund 1 --token t --amount -1 --reason r", nil, 2, []string{"--amount"}},
		{"order refund 1 --token t --amount 0 --reason r", nil, 2, []string{"--amount 0", "leave it out"}},
		{"dlq discard 1 --token t", nil, 2, []string{"--reason is missing"}},
		{"export everything --token t", nil, 2, []string{`"everything"`, "stock-ledger"}},
		{"reconcile --repair --token t", nil, 2, []string{"--reason is missing"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			code, out, stderr := process(t, c.environ, strings.Fields(c.args)...)
			if code != c.code || out != "" {
				t.Errorf("exit code %d, want %d; output %q; said %s", code, c.code, out, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in %s", want, stderr)
				}
			}
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if n := len(lines); !strings.HasPrefix(lines[n-1], "hint: ") || n > 3 && lines[0][0] != '{' {
				t.Errorf("not a line and a hint: %s", stderr)
			}
			for _, never := range []string{"goroutine", "panic", "Usage:", "hunter2"} {
				if strings.Contains(stderr, never) {
					t.Errorf("%q is in %s", never, stderr)
				}
			}
		})
	}
}

// server is a running `penstock serve`.
type server struct {
	data    string
	cmd     *exec.Cmd
	at      map[string]string
	out     *lines
	log     *bytes.Buffer
	environ []string
}

// lines lets a reader wait for a line of a running process.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) waitFor(t *testing.T, s string) string {
	t.Helper()
	for deadline := time.After(60 * time.Second); ; {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		if strings.Contains(text, s) {
			return text
		}
		select {
		case <-l.more:
		case <-deadline:
			t.Fatalf("%q was never said, only %q", s, text)
		}
	}
}

func serveOn(t *testing.T, data string, flags ...string) *server {
	t.Helper()
	s := &server{data: data, out: &lines{more: make(chan struct{}, 1)}, log: new(bytes.Buffer), environ: []string{"PENSTOCK_DATA=" + data,
		"PENSTOCK_LISTEN_PUBLIC=127.0.0.1:0", "PENSTOCK_LISTEN_ADMIN=127.0.0.1:0", "PENSTOCK_LISTEN_PROBE=127.0.0.1:0", "PENSTOCK_LISTEN_SANDBOX=127.0.0.1:0"}}
	s.cmd = command(t, s.environ, append([]string{"serve"}, flags...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	s.out.waitFor(t, "operator token")
	raw, err := os.ReadFile(filepath.Join(data, "listen.json"))
	if err != nil || json.Unmarshal(raw, &s.at) != nil {
		t.Fatalf("listen.json: %v %s", err, raw)
	}
	return s
}

// do runs a subcommand against the server and wants the exit code and the texts.
func (s *server) do(t *testing.T, code int, args []string, want ...string) string {
	t.Helper()
	got, out, stderr := process(t, s.environ, args...)
	if got != code {
		t.Errorf("%q: exit code %d, want %d: %s%s", args, got, code, out, stderr)
	}
	for _, w := range want {
		if !strings.Contains(out+stderr, w) {
			t.Errorf("%q: %q is not in %s%s", args, w, out, stderr)
		}
	}
	return out
}

const saleJSON = `{"id":"s1","title":"Tea","startsAt":"2020-01-01T00:00:00Z","endsAt":"2100-01-01T00:00:00Z",
"items":[{"sku":"tea","title":"Tea","price":500,"currency":"EUR","stock":10,"limitPerUser":2}]}`

// buy makes one attempt and returns the order.
func (s *server) buy(t *testing.T, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.at["public"]+"/v1/sales/s1/attempts", strings.NewReader(`{"sku":"tea","quantity":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Idempotency-Key": {`"k1"`}, "Content-Type": {"application/json"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var won struct{ Order string }
	if raw, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusCreated || json.Unmarshal(raw, &won) != nil {
		t.Fatalf("attempt: %d %s %v", resp.StatusCode, raw, err)
	}
	return won.Order
}

// A server with nothing configured can be run from a shell alone: it says where it is, a token it left behind opens the
// operator API, every subcommand finds it by the data directory, and SIGTERM ends it well. The same directory serves again.
func TestOperateFromAShell(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := serveOn(t, data)
	if text := s.out.waitFor(t, "ready"); !strings.Contains(text, s.at["public"]) || !strings.Contains(text, data) {
		t.Errorf("it did not say where it is: %s", text)
	}
	file := filepath.Join(t.TempDir(), "sale.json")
	if err := os.WriteFile(file, []byte(saleJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	s.do(t, 0, []string{"sale", "create", "-f", file}, "s1", "open", "tea")
	s.do(t, 1, []string{"sale", "create", "-f", file}, "conflict")
	s.do(t, 0, []string{"sale", "patch", "s1", "--title", "Green tea"})
	s.do(t, 1, []string{"sale", "patch", "s1", "--title", "x", "--if-version", "1"}, "version-mismatch")
	s.do(t, 2, []string{"sale", "patch", "s1", "--ends-at", "tomorrow"}, "/endsAt")
	s.do(t, 0, []string{"sale", "stock", "s1", "--sku", "tea", "--add", "5", "--reason", "more came"}, "15")
	s.do(t, 0, []string{"sale", "stock", "s1", "--sku", "tea", "--withdraw", "3", "--key", "k", "--reason", "broken"}, "12")
	s.do(t, 0, []string{"sale", "stock", "s1", "--sku", "tea", "--withdraw", "3", "--key", "k", "--reason", "broken"}, "12")
	s.do(t, 1, []string{"sale", "stock", "s1", "--sku", "tea", "--withdraw", "99", "--reason", "r"}, "stock-in-use")
	s.do(t, 0, []string{"sale", "action", "s1", "pause", "--reason", "look"}, "paused")
	s.do(t, 0, []string{"sale", "action", "s1", "resume", "--reason", "looked"}, "open")

	token := strings.TrimSpace(s.do(t, 0, []string{"token", "--user", "ann"}))
	order := s.buy(t, token)
	s.do(t, 0, []string{"order", "show", order}, "ann", "500 EUR")
	s.do(t, 1, []string{"order", "refund", order, "--reason", "r"}, "illegal-transition")
	s.do(t, 0, []string{"order", "cancel", order, "--reason", "buyer asked"}, "cancelled")
	s.do(t, 0, []string{"export", "audit"}, "looked", "broken")
	s.do(t, 1, []string{"order", "show", "1"}, "not-found")
	s.do(t, 0, []string{"dlq", "list"}, "LETTER")
	s.do(t, 1, []string{"dlq", "replay", "1", "--reason", "r"}, "not-found")
	s.do(t, 0, []string{"reconcile"}, "no differences")
	s.do(t, 0, []string{"export", "stock-ledger"}, `"kind":"withdraw"`, `"kind":"hold"`)
	s.do(t, 2, []string{"sale", "list", "--token", token}, "forbidden", "--role operator")
	s.do(t, 2, []string{"sale", "list", "--token", "nonsense"}, "unauthenticated")
	s.do(t, 3, []string{"serve"}, "in use", "--data")
	var page struct{ Items []struct{ ID, State string } }
	if out := s.do(t, 0, []string{"order", "list", "--json"}); json.Unmarshal([]byte(out), &page) != nil || len(page.Items) != 1 || page.Items[0].ID != order {
		t.Errorf("order list --json: %s", out)
	}
	kept, err := os.ReadFile(filepath.Join(data, "operator.token"))
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, 0, []string{"sale", "list", "--token", strings.TrimSpace(string(kept))}, "s1")
	s.end(t)

	again := serveOn(t, data)
	again.do(t, 0, []string{"order", "show", order}, "cancelled")
	again.end(t)
	again.do(t, 3, []string{"sale", "list"}, "cannot reach")
}

// end asks for a stop and wants it to be a good one, with nothing but JSON in the log.
func (s *server) end(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v: %s", err, s.log)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(s.log.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a log line: %s", line)
		}
	}
}

// The first signal waits for a request in flight; the second ends the process at once and says what that means.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := serveOn(t, filepath.Join(t.TempDir(), "data"), "--timeouts-drain", "5m", "--timeouts-body", "5m")
	c, err := net.Dial("tcp", s.at["public"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	token := strings.TrimSpace(s.do(t, 0, []string{"token", "--user", "ann"}))
	fmt.Fprintf(c, "POST /v1/sales/s1/attempts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: \"k\"\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", token)
	waitFor(t, func() bool {
		_, body := s.probe("/metrics")
		return strings.Contains(body, `http_active_connections{state="active"} 1`) || strings.Contains(body, `{state="active"} 2`)
	})
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { status, _ := s.probe("/health/ready"); return status == http.StatusServiceUnavailable })
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if code := s.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(s.log.String(), "second signal") {
		t.Errorf("exit code %d: %s", code, s.log)
	}
}

func (s *server) probe(path string) (int, string) {
	resp, err := http.Get("http://" + s.at["probe"] + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw)
}

// waitFor polls what another process brings about.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came true")
		}
	}
}

// Tokens are one a line, for the users asked for, good for the time asked for, with or without a server; what the ring signs
// after a rotation still verifies beside what it signed before.
func TestTokens(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	code, out, stderr := process(t, nil, "token", "--data", data, "--user", "u", "--count", "3", "--for", "2h")
	if code != 0 || !strings.Contains(stderr, "made a new key ring") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if code, id, stderr := process(t, nil, "key", "rotate", "--data", data, "--alg", "HS256"); code != 0 || id == "" {
		t.Fatalf("rotate: %d %s", code, stderr)
	}
	_, after, _ := process(t, nil, "token", "--data", data, "--user", "op", "--role", "operator")
	ring, err := auth.Open(filepath.Join(data, "keys.json"), auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(out + after)
	for i, want := range []auth.Identity{{User: "u-1"}, {User: "u-2"}, {User: "u-3"}, {User: "op", Role: auth.Operator}} {
		if i >= len(all) {
			t.Fatalf("%d tokens", len(all))
		}
		got, err := ring.Verify(all[i])
		left := time.Until(got.Expires)
		if err != nil || got.User != want.User || got.Role != want.Role || left > 2*time.Hour || left < 50*time.Minute {
			t.Errorf("token %d: %+v, %v", i, got, err)
		}
	}
	var minted struct{ Tokens []mintedToken }
	if _, out, _ = process(t, nil, "token", "--data", data, "--user", "u", "--json"); json.Unmarshal([]byte(out), &minted) != nil || len(minted.Tokens) != 1 || minted.Tokens[0].User != "u" {
		t.Errorf("--json: %s", out)
	}
	if _, out, _ = process(t, nil, "key", "list", "--data", data); strings.Count(out, "\n") != 4 || !strings.Contains(out, "HS256") {
		t.Errorf("key list: %s", out)
	}
}
