package crash

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// When the power goes, what was not synced is gone; no acknowledged order is among it. The disk is an ext4 image; the writers
// are frozen and the image is copied as the disk would be found after the cut.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	file, mounted := image(t, 160)
	const stock, limit = 4000, 2
	s := start(t, filepath.Join(mounted, "data"))
	operate(s).offer(stock, limit)
	c := gather(t, s, 4000, 3)
	c.enter(s)
	c.rush()
	if !c.until(s, 400+rnd.Int64N(2000)) {
		t.Fatalf("no answers:\n%s", tail(s.log.String()))
	}
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.leave()
	found := filepath.Join(filepath.Dir(file), "found.img")
	copyFile(t, file, found)
	s.kill()
	s = start(t, filepath.Join(loop(t, found), "data"))
	t.Logf("measured: after the power cut ready within %v", s.readyIn)
	c.enter(s)
	if !c.until(s, 50) {
		t.Fatalf("after the power cut nothing is sold:\n%s", tail(s.log.String()))
	}
	judge(s, c, stock, limit)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
