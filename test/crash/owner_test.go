package crash

import (
	"strings"
	"testing"
	"time"
)

// A second server on the same data directory refuses to start, says which directory is in use and what to do, and exits with
// a code that a script can tell from success; the first goes on selling.
func TestSecondOwnerRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	operate(s).offer(10, 1)
	second := launch(t, dir)
	select {
	case <-second.gone:
	case <-time.After(patience):
		t.Fatalf("the second owner did not give up:\n%s", tail(second.log.String()))
	}
	said := second.log.String()
	if code := second.cmd.ProcessState.ExitCode(); code < 1 || code > 3 {
		t.Errorf("the second owner exited with %d; a refusal is 1 to 3\n%s", code, tail(said))
	}
	if !strings.Contains(said, dir) || strings.Contains(said, "goroutine ") {
		t.Errorf("the message must name %s and show no stack:\n%s", dir, tail(said))
	}
	c := gather(t, s, 10, 1)
	c.enter(s)
	c.rush()
	if !c.until(s, 10) {
		t.Fatalf("the first owner stopped selling:\n%s", tail(s.log.String()))
	}
	judge(s, c, 10, 1)
}
