package crash

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// When the power goes, what was not synced is gone; no acknowledged order is among it, whether every fsync before had worked
// or some of them had failed. The disk is an ext4 image; the writers are frozen and the image is copied as the disk would be
// found after the cut. An fsync that is made to fail is not carried out.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]string{"healthy disk": "", "failing disk": "error=EIO:when=15+10"} {
		t.Run(name, func(t *testing.T) {
			var words []string
			if inject != "" {
				words, _ = strace(t, inject)
			}
			cutPower(t, words)
		})
	}
}

func cutPower(t *testing.T, words []string) {
	t.Helper()
	rnd := seeded(t)
	file, mounted := image(t, 160)
	const stock, limit = 4000, 2
	s := start(t, filepath.Join(mounted, "data"))
	operate(s).offer(stock, limit)
	c := gather(t, s, 4000, 3)
	if words != nil {
		s.stop()
		s = start(t, s.dir, words...)
	}
	c.enter(s)
	c.rush()
	if !c.until(s, 400+rnd.Int64N(2000)) {
		t.Fatalf("no answers:\n%s", tail(s.log.String()))
	}
	s.freeze()
	c.leave()
	found := filepath.Join(filepath.Dir(file), "found.img")
	copyFile(t, file, found)
	s.kill()
	s = start(t, filepath.Join(loop(t, found), "data"))
	t.Logf("measured: after the power cut ready within %v", s.readyIn)
	c.enter(s)
	if !c.until(s, 50) && !c.spent() {
		t.Fatalf("after the power cut nothing is sold:\n%s", tail(s.log.String()))
	}
	judge(s, c, stock, limit)
}

// freeze stops the server where it stands; kill ends it.
func (s *server) freeze() {
	s.t.Helper()
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
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
