package launch_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/internal/engines/launch"
)

// A server whose port another one has is not taken for ready because the other answers, and its error shows its log.
func TestAnotherServerOnThePort(t *testing.T) {
	t.Parallel()
	other := engines.Redis(t)
	spec, err := launch.Redis(t.TempDir(), port(t, other))
	engines.Installed(t, err)
	p, err := launch.Start(t.Context(), spec, launch.Child)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("wait says %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

// Waiting ends with its context, and says what it waited for.
func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ports, err := launch.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch.Start(t.Context(), launch.Spec{
		Engine: "mute", Dir: t.TempDir(), Port: ports[0], Path: "/bin/sleep", Args: []string{"60"},
		Ready: func(context.Context, int) error { return errors.New("it says nothing") },
	}, launch.Child)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it says nothing") {
		t.Errorf("wait says %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
}

// Free ports are different and below those that the kernel gives to clients.
func TestFreePorts(t *testing.T) {
	t.Parallel()
	ports, err := launch.FreePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] || p >= 32768 {
			t.Errorf("port %d", p)
		}
		seen[p] = true
	}
}

func port(t *testing.T, s *engines.Server) int {
	t.Helper()
	_, digits, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
