package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long a server may take to end by itself.
const patience = 20 * time.Second

// Running finds the background server that was started for the directory. ok is false when none runs, also when its process
// id is another process's by now.
func Running(dir string) (pid, port int, ok bool) {
	b, err := os.ReadFile(pidFile(dir))
	if err != nil {
		return 0, 0, false
	}
	if _, err := fmt.Sscan(string(b), &pid, &port); err != nil {
		return 0, 0, false
	}
	return pid, port, ours(pid, dir)
}

func pidFile(dir string) string { return filepath.Join(dir, "pid") }

// ours looks for the directory, which every server here is told, on the process's command line. A zombie has none.
func ours(pid int, dir string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (bytes.Contains(b, []byte(dir+"\x00")) || bytes.Contains(b, []byte(dir+"/")))
}

// Up has the server running in the background and ready when it returns. started is false when it ran before. Running on
// another port is an error, and so is a port that something else listens on.
func Up(ctx context.Context, s Spec) (started bool, err error) {
	if pid, port, ok := Running(s.Dir); ok {
		if port != s.Port {
			return false, &PortError{fmt.Sprintf("%s is up on port %d, not %d: take it down first", s.Engine, port, s.Port)}
		}
		return false, s.await(ctx, pid, nil)
	}
	if !Free(s.Port) {
		return false, &PortError{fmt.Sprintf("port %d, wanted by %s, is taken by another program: end that one or choose another port", s.Port, s.Engine)}
	}
	p, err := Start(ctx, s, Detached)
	if err != nil {
		return false, err
	}
	// written before it is ready: what is interrupted here can still be taken down
	err = os.WriteFile(pidFile(s.Dir), fmt.Appendf(nil, "%d %d\n", p.PID(), s.Port), 0o600)
	if err == nil {
		err = p.Wait(ctx)
	}
	if err != nil {
		return false, errors.Join(err, p.Kill(), os.Remove(pidFile(s.Dir)))
	}
	return true, nil
}

// PortError says that a server cannot have its port.
type PortError struct{ what string }

func (p *PortError) Error() string { return p.what }

// Down ends the background server of the directory, first asking it, and returns when it is gone. Its data stays. stopped is
// false when none was running.
func Down(ctx context.Context, dir string) (stopped bool, err error) {
	pid, _, ok := Running(dir)
	if !ok {
		return false, nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, err
		}
		if gone(ctx, pid, dir) {
			return true, os.Remove(pidFile(dir))
		}
	}
	return false, fmt.Errorf("process %d of %s does not end", pid, dir)
}

func gone(ctx context.Context, pid int, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ours(pid, dir) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
