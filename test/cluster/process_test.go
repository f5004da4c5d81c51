package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is the binary under test, built once unless CRASH_BINARY names it.
var bin = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("CRASH_BINARY"); given != "" {
		return filepath.Abs(filepath.Join("../..", given))
	}
	dir, err := os.MkdirTemp("", "penstock-cluster")
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

// patience is how long anything may take before it counts as never: far above what is normal on a busy machine.
const patience = 90 * time.Second

// addresses is what a process writes to listen.json.
type addresses struct{ Public, Admin, Probe, Sandbox string }

// node is one process of the cluster. It keeps its name, its data directory and, once known, its addresses over restarts.
type node struct {
	name, role string
	dir        string
	env        []string

	mu   sync.Mutex
	at   addresses
	cmd  *exec.Cmd
	gone chan struct{}
	log  bytes.Buffer
}

func newNode(t *testing.T, name, role string, env []string) *node {
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	n := &node{name: name, role: role, dir: dir, env: append([]string{
		"PENSTOCK_DATA=" + dir, "PENSTOCK_TARGET=" + role, "PENSTOCK_LISTEN_PUBLIC=127.0.0.1:0", "PENSTOCK_LISTEN_ADMIN=127.0.0.1:0",
		"PENSTOCK_LISTEN_PROBE=127.0.0.1:0", "PENSTOCK_LISTEN_SANDBOX=127.0.0.1:0",
	}, env...)}
	t.Cleanup(func() {
		n.signal(syscall.SIGCONT)
		n.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", n.name, n.tail())
		}
	})
	return n
}

// Write takes the process's output.
func (n *node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *node) tail() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.log.Bytes()
	return string(b[max(0, len(b)-6000):])
}

// start launches the process and waits until it is ready.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.launch(t)
	if err := n.ready(); err != nil {
		t.Fatalf("%s did not become ready: %v\n%s", n.name, err, n.tail())
	}
}

func (n *node) launch(t *testing.T) {
	t.Helper()
	b, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(n.dir, "listen.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(b, "serve")
	cmd.Env = append(os.Environ(), n.env...)
	cmd.Stdout, cmd.Stderr = n, n
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(gone)
	}()
	n.mu.Lock()
	n.cmd, n.gone = cmd, gone
	n.mu.Unlock()
}

// ready polls until the process says that it is ready.
func (n *node) ready() error {
	deadline := time.Now().Add(patience)
	for {
		err := n.look()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-n.ended():
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (n *node) look() error {
	b, err := os.ReadFile(filepath.Join(n.dir, "listen.json"))
	if err != nil {
		return err
	}
	var at addresses
	if err := json.Unmarshal(b, &at); err != nil {
		return err
	}
	resp, err := http.Get("http://" + at.Probe + "/health/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s %w", resp.StatusCode, body, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = at
	return nil
}

func (n *node) ended() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone
}

func (n *node) addr() addresses {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

func (n *node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = syscall.Kill(-n.cmd.Process.Pid, s) // it may be gone
	}
}

// kill is kill −9, and returns when the process is gone.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	if gone := n.ended(); gone != nil {
		<-gone
	}
}
