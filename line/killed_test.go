package line

import (
	"bufio"
	"bytes"
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
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
	"penstock/stock/driver"
)

const (
	childDir = "PENSTOCK_LINE_TEST_DIR"
	childURL = "PENSTOCK_LINE_TEST_URL"
)

// openAt opens a line of a sale that has begun in a directory, with the machine's clock.
func openAt(t testing.TB, dir string) (*Lines, Store) {
	t.Helper()
	s, err := OpenSQLite(context.Background(), filepath.Join(dir, "line.db"), groupcommit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return startOver(t, dir, s, &driver.LineRules{RatePerSecond: 1}), s
}

// openShared opens the same in a database that several processes share, with a rate that serves it.
func openShared(t testing.TB, dir, url string) (*Lines, Store) {
	t.Helper()
	cfg, err := mysql.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(context.Background(), cfg, mysql.Options{Pool: 8})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenMySQL(context.Background(), db, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); _ = db.Close() })
	return startOver(t, dir, s, &driver.LineRules{RatePerSecond: 100, AwaySeconds: 60}), s
}

// startOver starts a line over a store; keys are in the directory.
func startOver(t testing.TB, dir string, s Store, rules *driver.LineRules) *Lines {
	t.Helper()
	ring, err := auth.Open(filepath.Join(dir, "keys.json"), auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sh := newShop(1_000_000_000, driver.AdmitLine, rules)
	sh.doc.StartsAt, sh.doc.EndsAt = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	l, err := New(s, sh, ring, Options{Calls: s.Shared()})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
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
		told := live(t, life, childDir+"="+dir)
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

// One process of two over one database is killed with -9 while hundreds join at it, the one that calls or the other: at the one that
// lives everybody who was told an entry has it, with its number, and is called in his turn by whoever is left.
func TestOneOfTwoKilled(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), engines.MariaDB(t).Database(t)
	told := map[string]string{}
	l, _ := openShared(t, dir, url)
	for life := range 2 {
		for user, id := range live(t, life, childDir+"="+dir, childURL+"="+url) {
			told[user] = id
		}
		if life == 0 { // the next one finds a line that nobody calls, and takes it over before this one is back
			l.Stop()
			l, _ = openShared(t, dir, url)
		}
	}
	defer l.Stop()
	if len(told) < 500 {
		t.Errorf("only %d were told", len(told))
	}
	first := ID{1, 1 << 30}
	var whose string
	for user, id := range told {
		e, err := l.Join(t.Context(), Request{Sale: "s", User: user})
		if err != nil || !e.Again || e.ID.String() != id {
			t.Fatalf("%s was told %s and has %v, %v", user, id, e.ID, err)
		}
		if e.ID.Seq < first.Seq {
			first, whose = e.ID, user
		}
	}
	for end := time.Now().Add(60 * time.Second); ; {
		e, err := l.Look(t.Context(), "s", whose, first)
		if err == nil && e.State == "admitted" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nobody calls after a kill: the first is %s, %v", e.State, err)
		}
		time.Sleep(20 * time.Millisecond) // polling until the lease of the dead has run out
	}
	var b bytes.Buffer
	if err := l.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	got, err := Recompute(&b)
	if err != nil || got.Entries < len(told) {
		t.Errorf("%+v, %v: %d were told", got, err, len(told))
	}
}

// live runs a process until it has told some hundreds and kills it.
func live(t *testing.T, life int, environ ...string) map[string]string {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	c.Env = append(append(os.Environ(), fmt.Sprintf("LIFE=%d", life)), environ...)
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
	var l *Lines
	if url := os.Getenv(childURL); url != "" {
		l, _ = openShared(t, dir, url)
	} else {
		l, _ = openAt(t, dir)
	}
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
