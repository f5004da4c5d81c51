// Package launch runs real Redis, MariaDB and Kafka servers from the binaries and jars of this machine: on loopback, with data
// in a directory of the caller, ready when Wait returns.
//
// A Spec says how one server is run; Start runs it as a child that dies with this process, or detached from it. Servers that
// are not installed are reported as *MissingError. A Process may be used from several goroutines. Nothing here is for production: no
// server has a password unless asked for, and everything listens on 127.0.0.1 only.
package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Spec is one server.
type Spec struct {
	Engine  string // redis, mysql or kafka
	Version string
	Dir     string // data and logs; made when absent
	Port    int    // where clients connect
	Path    string // the binary
	Args    []string
	Env     []string // added to this process's own
	// Prepare makes what the first start needs; it is called before every start and may be nil.
	Prepare func(ctx context.Context) error
	// Ready returns nil once the server with this process id, and not another on its port, answers.
	Ready func(ctx context.Context, pid int) error
}

// Addr is "127.0.0.1:port".
func (s Spec) Addr() string { return Loopback(s.Port) }

// URL is what goes into Penstock's configuration.
func (s Spec) URL() string {
	user := ""
	if s.Engine == MySQL {
		user = "root@"
	}
	return s.Engine + "://" + user + s.Addr()
}

// Log is the file with everything the server printed.
func (s Spec) Log() string { return filepath.Join(s.Dir, "output.log") }

// The engines, by the scheme of their URLs.
const (
	RedisEngine = "redis"
	MySQL       = "mysql"
	KafkaEngine = "kafka"
)

// Loopback is the address of a port here.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// MissingError says that an engine cannot be run on this machine, and what to do about it.
type MissingError struct{ Engine, What, Do string }

func (m *MissingError) Error() string {
	return fmt.Sprintf("engine not installed: %s needs %s; %s", m.Engine, m.What, m.Do)
}

// find looks a binary up, also where Debian puts servers.
func find(engine, pkg string, names ...string) (string, error) {
	for _, name := range names {
		for _, candidate := range []string{name, "/usr/sbin/" + name} {
			if p, err := exec.LookPath(candidate); err == nil {
				return p, nil
			}
		}
	}
	return "", &MissingError{engine, names[0], "on Debian: apt-get install --no-install-recommends " + pkg}
}

// Process is a running server.
type Process struct {
	Spec
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended and is reaped
}

// Mode says whose child the server is.
type Mode bool

const (
	// Child ends with this process, however this process ends.
	Child Mode = false
	// Detached outlives this process and its terminal.
	Detached Mode = true
)

// Start prepares and starts the server without waiting until it answers.
func Start(ctx context.Context, s Spec, mode Mode) (*Process, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	if s.Prepare != nil {
		if err := s.Prepare(ctx); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", s.Engine, err)
		}
	}
	log, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &Process{Spec: s, cmd: exec.Command(s.Path, s.Args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.Dir, log, log
	p.cmd.Env = append(os.Environ(), s.Env...)
	if mode == Detached {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	} else {
		// a group of its own takes its helpers along; the death signal covers a test that is killed before its cleanup
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Engine, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// Wait returns once the server answers, or an error with the end of its log: when it died, or when ctx ended first.
func (p *Process) Wait(ctx context.Context) error { return p.await(ctx, p.PID(), p.done) }

// await waits for a server that may be another process's child; done may be nil.
func (s Spec) await(ctx context.Context, pid int, done <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = s.Ready(ctx, pid); last == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("%s at %s ended while starting:\n%s", s.Engine, s.Addr(), tail(s.Log()))
		case <-ctx.Done():
			return fmt.Errorf("%s at %s is not ready: %w: %w\n%s", s.Engine, s.Addr(), ctx.Err(), last, tail(s.Log()))
		case <-tick.C:
		}
	}
}

// PID is the server's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the server and what it started with SIGKILL, and returns when it is gone. A server that has ended is left alone.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.Engine, err)
	}
	<-p.done
	return nil
}

// Signal sends a signal to the server itself. It is an error when the server has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.Engine, err)
	}
	return nil
}

// tail is the end of a log, for an error message.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// run executes a preparing command to its end.
func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(out)))
	}
	return nil
}
