package line

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/auth"
	"penstock/engine/groupcommit"
	"penstock/stock/driver"
)

const childDir = "PENSTOCK_LINE_TEST_DIR"

// openAt opens a line of a sale that has begun in a directory, with the machine's clock.
func openAt(t testing.TB, dir string) (*Lines, Store) {
	t.Helper()
	ring, err := auth.Open(filepath.Join(dir, "keys.json"), auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSQLite(context.Background(), filepath.Join(dir, "line.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sh := newShop(1_000_000_000, driver.AdmitLine, &driver.LineRules{RatePerSecond: 1})
	sh.doc.StartsAt, sh.doc.EndsAt = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	l, err := New(s, sh, ring, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, s
}

// A process that is killed with -9 while hundreds join loses nobody who was told his entry: after the restart each has the number that
// he was told, and joining again gives it.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		joinForEver(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	for life := range 3 {
		told := live(t, dir, life)
		l, s := openAt(t, dir)
		for user, id := range told {
			e, err := l.Join(t.Context(), Request{Sale: "s", User: user})
			if err != nil || !e.Again || e.ID.String() != id {
				t.Errorf("%s was told %s and has %v, %v", user, id, e.ID, err)
			}
		}
		l.Stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(told) < 100 {
			t.Errorf("life %d: only %d were told", life, len(told))
		}
	}
}

// live runs a process until it has told some hundreds and kills it.
func live(t *testing.T, dir string, life int) map[string]string {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	c.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("LIFE=%d", life))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for r := bufio.NewScanner(out); r.Scan(); {
		if f := strings.Fields(r.Text()); len(f) == 3 && f[0] == "told" {
			if told[f[1]] = f[2]; len(told) == 400+100*life {
				_ = c.Process.Kill()
			}
		}
	}
	_ = c.Wait()
	return told
}

func joinForEver(t *testing.T, dir string) {
	l, _ := openAt(t, dir)
	var mu sync.Mutex
	for n := range 64 {
		go func() {
			for i := 0; ; i++ {
				user := fmt.Sprintf("u-%s-%d-%d", os.Getenv("LIFE"), n, i)
				e, err := l.Join(context.Background(), Request{Sale: "s", User: user})
				mu.Lock()
				if err == nil {
					fmt.Printf("told %s %s\n", user, e.ID)
				}
				mu.Unlock()
			}
		}()
	}
	<-time.After(time.Minute) // the parent kills it
}

// Joins a second over one durable file, each awaited, from so many at once.
func BenchmarkJoin(b *testing.B) {
	l, s := openAt(b, b.TempDir())
	defer func() { l.Stop(); _ = s.Close() }()
	work := make(chan int, 1024)
	var wg sync.WaitGroup
	for range 512 {
		wg.Go(func() {
			for i := range work {
				if _, err := l.Join(context.Background(), Request{Sale: "s", User: fmt.Sprintf("user-%d", i)}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ResetTimer()
	for i := range b.N {
		work <- i
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "joins/s")
}
