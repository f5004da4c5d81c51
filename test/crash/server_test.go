package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is the binary under test, built once.
var bin = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("CRASH_BINARY"); given != "" {
		return filepath.Abs(filepath.Join("../..", given))
	}
	dir, err := os.MkdirTemp("", "penstock-crash")
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, "penstock")
	if out, err := exec.Command("go", "build", "-o", to, "penstock/cmd/penstock").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return to, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := bin(); err == nil && os.Getenv("CRASH_BINARY") == "" {
		os.RemoveAll(filepath.Dir(b))
	}
	os.Exit(code)
}

// addresses is what the server writes to listen.json.
type addresses struct {
	Public, Admin, Probe string
}

// server is one run of "penstock serve" over a data directory.
type server struct {
	t    *testing.T
	dir  string
	at   addresses
	cmd  *exec.Cmd
	log  *lockedBuffer
	gone chan struct{} // closed when the process has ended
	err  error         // how it ended; read after gone
	// readyIn is how long it took from start to the first ready answer.
	readyIn time.Duration
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func environment(dir string) []string {
	env := os.Environ()
	for _, kv := range []string{
		"DATA=" + dir, "LISTEN_PUBLIC=127.0.0.1:0", "LISTEN_ADMIN=127.0.0.1:0", "LISTEN_PROBE=127.0.0.1:0", "LISTEN_SANDBOX=127.0.0.1:0",
		"LIMITS_IP=off", "LIMITS_USER=off", "LIMITS_API=off", "LIMITS_ATTEMPT=off",
	} {
		env = append(env, "PENSTOCK_"+kv)
	}
	return env
}

// launch starts the server, under the programs of wrap if any, and does not wait for it.
func launch(t *testing.T, dir string, wrap ...string) *server {
	t.Helper()
	b, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "listen.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	argv := append(append([]string{}, wrap...), b, "serve")
	s := &server{t: t, dir: dir, log: &lockedBuffer{}, gone: make(chan struct{})}
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = environment(dir)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.gone)
	}()
	t.Cleanup(s.kill)
	return s
}

// start launches the server and waits until it is ready.
func start(t *testing.T, dir string, wrap ...string) *server {
	t.Helper()
	s := launch(t, dir, wrap...)
	if !s.ready() {
		t.Fatalf("the server did not become ready (patience %v):\n%s", patience, tail(s.log.String()))
	}
	return s
}

// patience is how long anything may take before it counts as never: far above what is normal on a busy machine.
const patience = 60 * time.Second

// ready polls until the server is ready; false when it ended or patience ran out first.
func (s *server) ready() bool {
	began := time.Now()
	ok := s.poll(func() bool {
		b, err := os.ReadFile(filepath.Join(s.dir, "listen.json"))
		if err != nil || json.Unmarshal(b, &s.at) != nil {
			return false
		}
		resp, err := http.Get("http://" + s.at.Probe + "/health/ready")
		if err != nil {
			return false
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	s.readyIn = time.Since(began)
	return ok
}

// poll asks until cond holds; false when the process ended or patience ran out first.
func (s *server) poll(cond func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-s.gone:
			return cond()
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// kill is kill −9 of the process and of what it was started under, and returns when all are gone.
func (s *server) kill() {
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.gone
}

// stop is what a service manager does: SIGTERM, then wait.
func (s *server) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(patience):
		s.t.Errorf("the server did not stop within %v of SIGTERM:\n%s", patience, tail(s.log.String()))
		s.kill()
	}
}

func (s *server) ended() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// run runs a subcommand over the server's directory and returns its output and exit code.
func (s *server) run(args ...string) (string, int) {
	s.t.Helper()
	return command(s.t, s.dir, args...)
}

func command(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	b, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b, args...)
	cmd.Env = environment(dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// tokens makes bearer tokens from the directory's key ring.
func tokens(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	out, code := command(t, dir, append([]string{"token", "--data", dir, "--for", "2h"}, args...)...)
	if code != 0 {
		t.Fatalf("penstock token: exit %d\n%s", code, out)
	}
	return strings.Fields(out)
}

// client talks to one server; small time-outs, so that a dead server is noticed.
func client(conns int) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns,
			DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		},
	}
}

func tail(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}
