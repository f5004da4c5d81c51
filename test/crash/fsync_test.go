package crash

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// strace returns the words that start a program with a fault injected into its syncs, and the file that tells of each. The
// count is per thread, so "the n-th" is the n-th of whichever thread gets there first.
func strace(t *testing.T, inject string) (words []string, log string) {
	t.Helper()
	err := exec.Command("strace", "-qq", "-o", os.DevNull, "-e", "inject=fsync:error=EIO", "true").Run()
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("strace does not work here (%v); in CI it must, so that this case is never passed over in silence", err)
	}
	if err != nil {
		t.Skipf("not run: strace does not work here (%v)", err)
	}
	log = filepath.Join(t.TempDir(), "strace.log")
	return []string{"strace", "-f", "-qq", "-o", log, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:" + inject}, log
}

// injected counts the faults that strace has told of.
func injected(t *testing.T, log string) int {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "(INJECTED)")
}

// Killed at the n-th fsync, on a directory that already holds orders, the server comes back with all of them.
func TestKilledAtTheNthSync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const stock, limit = 4000, 2
	s := start(t, dir)
	operate(s).offer(stock, limit)
	c := gather(t, s, 4000, 3)
	c.enter(s)
	c.rush()
	if !c.until(s, 200) {
		t.Fatalf("no answers:\n%s", tail(s.log.String()))
	}
	for _, n := range []int{1, 2, 3, 5, 9, 17, 40} {
		c.leave()
		s.kill()
		words, _ := strace(t, fmt.Sprintf("signal=KILL:when=%d", n))
		s = launch(t, dir, words...)
		if s.ready() {
			c.enter(s)
			if !s.poll(s.ended) {
				t.Errorf("no thread reached fsync %d", n)
			}
			c.leave()
		}
		s.kill()
		s = start(t, dir)
		c.enter(s)
		if !c.until(s, 50) {
			t.Fatalf("after a kill at fsync %d the server sells no more:\n%s", n, tail(s.log.String()))
		}
	}
	judge(s, c, stock, limit)
}

// Killed at the n-th fsync of its very first start, the server leaves a directory that the next start can use.
func TestKilledWhileTheDirectoryIsMade(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 6, 12} {
		dir := t.TempDir()
		words, _ := strace(t, fmt.Sprintf("signal=KILL:when=%d", n))
		s := launch(t, dir, words...)
		s.ready()
		s.kill()
		s = start(t, dir)
		operate(s).offer(5, 1)
		c := gather(t, s, 10, 1)
		c.enter(s)
		c.rush()
		if !c.until(s, 10) {
			t.Fatalf("after a kill at fsync %d of the first start nothing is sold:\n%s", n, tail(s.log.String()))
		}
		judge(s, c, 5, 1)
		s.kill()
	}
}

// When an fsync fails, no order that was acknowledged is lost, nobody gets an answer that is neither yes, no nor unknown, and
// the server either sells again or says that it does not.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"5", "20", "15+10"} {
		t.Run("when="+when, func(t *testing.T) {
			dir := t.TempDir()
			const stock, limit = 1500, 2
			s := start(t, dir)
			operate(s).offer(stock, limit)
			c := gather(t, s, 2000, 3)
			c.enter(s)
			c.rush()
			if !c.until(s, 100) {
				t.Fatalf("no answers:\n%s", tail(s.log.String()))
			}
			c.leave()
			s.kill()
			words, log := strace(t, "error=EIO:when="+when)
			s = launch(t, dir, words...)
			ready := s.ready()
			if ready {
				c.enter(s)
			}
			if !(ready && c.until(s, 600)) && !s.ended() {
				truthful(t, s)
			}
			n := injected(t, log)
			t.Logf("measured: %d syncs failed; ready %v, ended %v, latest answers %v", n, ready, s.ended(), c.latest(600))
			if n == 0 {
				t.Error("no sync failed: the case proves nothing")
			}
			c.leave()
			s.kill()
			s = start(t, dir)
			c.enter(s)
			if !c.until(s, 50) && !c.spent() {
				t.Fatalf("on a healthy disk the server sells no more:\n%s", tail(s.log.String()))
			}
			judge(s, c, stock, limit)
		})
	}
}

// truthful wants a server that does not sell to say so.
func truthful(t *testing.T, s *server) {
	t.Helper()
	resp, err := http.Get("http://" + s.at.Probe + "/health/ready")
	if err != nil {
		return
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		t.Errorf("the server answers no buyer and calls itself ready:\n%s", tail(s.log.String()))
	}
}
