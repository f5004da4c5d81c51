package crash

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// fill writes a file until the file system has no byte left.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
}

// On a full disk buyers get answers that promise nothing (not executed, or not yet known); nothing that was acknowledged is
// lost; when there is room again the same process sells again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tmpfs(t, "96m"), "data")
	const stock, limit = 20000, 8
	s := start(t, dir)
	operate(s).offer(stock, limit)
	c := gather(t, s, 4000, 20)
	c.enter(s)
	c.rush()
	if !c.until(s, 500) {
		t.Fatalf("no answers:\n%s", tail(s.log.String()))
	}
	ballast := filepath.Join(filepath.Dir(dir), "ballast")
	fill(t, ballast)
	full := s.poll(func() bool { return c.last(20, unknown, refused) })
	if s.ended() {
		t.Fatalf("the server ended when the disk was full:\n%s", tail(s.log.String()))
	}
	t.Logf("measured: on the full disk the latest answers were %v", c.latest(60))
	if !full && !c.spent() {
		t.Errorf("the disk is full and buyers are still told yes")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if !s.poll(func() bool { return c.last(20, won, lost) || c.spent() }) {
		t.Fatalf("there is room again and the server does not sell:\n%s", tail(s.log.String()))
	}
	judge(s, c, stock, limit)
	s.kill()
	s = start(t, dir)
	c.enter(s)
	judge(s, c, stock, limit)
}
