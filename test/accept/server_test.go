package accept

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

var (
	bin    string  // the binary under test
	shared *server // quotas off; for cases that need nothing of their own
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "penstock-accept")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = filepath.Join(dir, "penstock")
	if out, err := exec.Command("go", "build", "-o", bin, "penstock/cmd/penstock").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	shared = &server{dir: filepath.Join(dir, "shared"), env: quotasOff}
	if err := shared.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := shared.stop(syscall.SIGTERM); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "the shared server did not end well:", err)
		code = 1
	}
	return code
}

var quotasOff = []string{"PENSTOCK_LIMITS_IP=off", "PENSTOCK_LIMITS_USER=off", "PENSTOCK_LIMITS_API=off", "PENSTOCK_LIMITS_ATTEMPT=off"}

// server is one data directory and the process that serves it.
type server struct {
	dir      string
	env      []string
	at       map[string]string // listener to address
	operator string            // bearer token

	mu   sync.Mutex
	cmd  *exec.Cmd
	log  bytes.Buffer
	gone chan error
}

// own starts a server for one test, with extra environment.
func own(t *testing.T, env ...string) *server {
	t.Helper()
	s := &server{dir: filepath.Join(t.TempDir(), "data"), env: env}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	return s
}

var anyPorts = []string{"--listen-public", "127.0.0.1:0", "--listen-admin", "127.0.0.1:0", "--listen-probe", "127.0.0.1:0", "--listen-sandbox", "127.0.0.1:0"}

// start runs the binary and waits until it says that it is ready.
func (s *server) start() error {
	os.Remove(filepath.Join(s.dir, "listen.json"))
	s.cmd = exec.Command(bin, append([]string{"serve", "--data", s.dir}, anyPorts...)...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.log.Reset()
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.gone = make(chan error, 1)
	go func(c *exec.Cmd, gone chan error) { gone <- c.Wait() }(s.cmd, s.gone)
	return until(60*time.Second, "the server is ready", func() error {
		raw, err := os.ReadFile(filepath.Join(s.dir, "listen.json"))
		if err != nil {
			return err
		}
		at := map[string]string{}
		if err := json.Unmarshal(raw, &at); err != nil {
			return err
		}
		res, err := http.Get("http://" + at["probe"] + "/health/ready")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			return fmt.Errorf("ready answers %d", res.StatusCode)
		}
		token, err := os.ReadFile(filepath.Join(s.dir, "operator.token"))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at, s.operator = at, strings.TrimSpace(string(token))
		return err
	})
}

// stop ends the process and waits; stopping one that is gone does nothing.
func (s *server) stop(how syscall.Signal) error {
	if s.gone == nil {
		return nil
	}
	s.cmd.Process.Signal(how)
	err := <-s.gone
	s.gone = nil
	if how == syscall.SIGKILL {
		return nil
	}
	return err
}

func (s *server) address(listener string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[listener]
}

// tokens makes bearer tokens of the users name-1 … name-n.
func (s *server) tokens(t *testing.T, name string, n int) []string {
	t.Helper()
	out, code := command(t, "token", "--data", s.dir, "--user", name, "--count", fmt.Sprint(n))
	list := strings.Fields(out)
	if code != 0 || len(list) != n {
		t.Fatalf("penstock token: exit %d, %d tokens: %s", code, len(list), out)
	}
	return list
}

// token makes one bearer token of exactly this user.
func (s *server) token(t *testing.T, user string, more ...string) string {
	t.Helper()
	out, code := command(t, append([]string{"token", "--data", s.dir, "--user", user}, more...)...)
	if code != 0 {
		t.Fatalf("penstock token: exit %d: %s", code, out)
	}
	return strings.TrimSpace(out)
}

// command runs the binary to its end and returns all it wrote and its exit code.
func command(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return commandEnv(t, nil, args...)
}

func commandEnv(t *testing.T, env []string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("penstock %s: %v", strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// until asks again and again until the condition holds, and says what was still wrong when it never did.
func until(limit time.Duration, what string, holds func() error) error {
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = holds(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("after %v still not: %s: %w", limit, what, err)
}

// eventually is until for a test.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	if err := until(60*time.Second, what, holds); err != nil {
		t.Fatal(err)
	}
}
