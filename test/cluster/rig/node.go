package rig

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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"penstock/config"
)

// patience is how long anything may take before it counts as never: far above what is normal on a busy machine.
const patience = 90 * time.Second

// kept is how much of the end of a process's output is kept, in bytes.
const kept = 16 << 10

// Addresses is what a process writes to listen.json.
type Addresses struct{ Public, Admin, Probe, Sandbox string }

// Node is one process of a cluster. It keeps its name, its data directory and, once known, its addresses over restarts.
//
// Signal, Kill, Addresses, Tail and Lines may be called from any goroutine, also while one restarts the node.
type Node struct {
	Name   string
	roles  []string
	dir    string
	binary string
	env    []string

	mu    sync.Mutex
	at    Addresses
	cmd   *exec.Cmd
	gone  chan struct{}
	log   []byte // the end of its output
	lines int64
	file  *os.File // all of it, where CLUSTER_LOGS names a directory
}

func newNode(t *testing.T, p Process, env []string) *Node {
	dir := filepath.Join(t.TempDir(), p.Name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	roles := strings.Split(p.Roles, ",")
	if p.Roles == config.RoleAll {
		roles = config.Roles()
	}
	n := &Node{Name: p.Name, roles: roles, dir: dir, env: append([]string{
		"PENSTOCK_DATA=" + dir, "PENSTOCK_TARGET=" + p.Roles, "PENSTOCK_LISTEN_PUBLIC=127.0.0.1:0", "PENSTOCK_LISTEN_ADMIN=127.0.0.1:0",
		"PENSTOCK_LISTEN_PROBE=127.0.0.1:0", "PENSTOCK_LISTEN_SANDBOX=127.0.0.1:0",
	}, env...)}
	if keep := os.Getenv("CLUSTER_LOGS"); keep != "" {
		f, err := os.OpenFile(filepath.Join(keep, p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		n.file = f
		t.Cleanup(func() { f.Close() })
	}
	t.Cleanup(func() {
		n.Signal(syscall.SIGCONT)
		n.Kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", n.Name, n.Tail())
		}
	})
	return n
}

// Write takes the process's output.
func (n *Node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines += int64(bytes.Count(p, []byte{'\n'}))
	n.log = append(n.log, p...)
	if n.file != nil {
		if _, err := n.file.Write(p); err != nil {
			return 0, err
		}
	}
	if extra := len(n.log) - 2*kept; extra > 0 {
		n.log = append(n.log[:0], n.log[len(n.log)-kept:]...)
	}
	return len(p), nil
}

// Dir is its data directory.
func (n *Node) Dir() string { return n.dir }

// Tail is the end of what it has written.
func (n *Node) Tail() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return string(n.log[max(0, len(n.log)-kept):])
}

// Start launches the process and waits until it is ready.
func (n *Node) Start(t *testing.T) {
	t.Helper()
	n.launch(t)
	if err := n.wait(); err != nil {
		t.Fatalf("%s did not become ready: %v\n%s", n.Name, err, n.Tail())
	}
}

func (n *Node) launch(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(n.dir, "listen.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(n.binary, "serve")
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

// wait polls until the process says that it is ready.
func (n *Node) wait() error {
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

func (n *Node) look() error {
	b, err := os.ReadFile(filepath.Join(n.dir, "listen.json"))
	if err != nil {
		return err
	}
	var at Addresses
	if err := json.Unmarshal(b, &at); err != nil {
		return err
	}
	if err := ready(at); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = at
	return nil
}

func (n *Node) ended() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone
}

// Addresses are those of its last start; empty before it was ready.
func (n *Node) Addresses() Addresses {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

// Signal sends a signal to the process and its children.
func (n *Node) Signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = syscall.Kill(-n.cmd.Process.Pid, s) // it may be gone
	}
}

// Kill is kill −9, and returns when the process is gone.
func (n *Node) Kill() {
	n.Signal(syscall.SIGKILL)
	if gone := n.ended(); gone != nil {
		<-gone
	}
}

// Lines is how many lines it has written since the test began.
func (n *Node) Lines() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines
}

// Ready asks the process whether it is ready; the error says what it answered.
func (n *Node) Ready() error {
	if err := ready(n.Addresses()); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

func ready(at Addresses) error {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + at.Probe + "/health/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return err
}

// Running reports whether the process has not ended.
func (n *Node) Running() bool {
	select {
	case <-n.ended():
		return false
	default:
		return true
	}
}
