package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/outbox"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// A child process publishes until it is killed: the variable says where.
const childAt = "PENSTOCK_OUTBOX_CHILD"

func TestMain(m *testing.M) {
	if where := os.Getenv(childAt); where != "" {
		publishForever(where)
		return
	}
	os.Exit(m.Run())
}

// schema is a room with one table: what each message tells of.
func schema() sqldb.Schema {
	return outbox.Into(sqldb.Schema{
		Name:   "room",
		SQLite: []string{`CREATE TABLE effect (user TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (user, n))`},
		MySQL:  []string{"CREATE TABLE IF NOT EXISTS effect (user VARBINARY(64) NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (user, n)) ENGINE=InnoDB;\n"},
	})
}

// open opens a place: the path of a file, or the URL of a database.
func open(ctx context.Context, where string) (sqldb.Store, func(), error) {
	if !strings.HasPrefix(where, "mysql://") {
		s, err := sqldb.OpenFile(ctx, where, schema(), groupcommit.Options{})
		return s, func() { _ = s.Close() }, err
	}
	c, err := mysql.Parse(where)
	if err != nil {
		return nil, nil, err
	}
	db, err := mysql.Open(ctx, c, mysql.Options{Pool: 6, LockWait: time.Second, Reply: 2 * time.Second})
	if err != nil {
		return nil, nil, err
	}
	s, err := sqldb.OpenShared(ctx, db, schema(), sqldb.Options{})
	return s, func() { _ = db.Close() }, err
}

// publish does one thing to a user and tells of it, under the user's lock. Some transactions take longer than others.
func publish(ctx context.Context, s sqldb.Store, user int, slow bool) error {
	name := "user" + strconv.Itoa(user)
	return s.Do(ctx, user, func(tx sqldb.Tx) error {
		var n int
		if err := tx.Scan(`SELECT COALESCE(MAX(n), 0) FROM effect WHERE user = ?`, []any{name}, &n); err != nil {
			return err
		}
		n++
		if _, err := tx.Exec(`INSERT INTO effect (user, n) VALUES (?, ?)`, name, n); err != nil {
			return err
		}
		if err := bus.PublishTx(tx, message(name, n)); err != nil {
			return err
		}
		if slow && s.Shared() {
			_, err := tx.Exec(`DO SLEEP(0.02)`)
			return err
		}
		return nil
	})
}

func message(user string, n int) driver.Message {
	return driver.Message{
		ID: user + "-" + strconv.Itoa(n), Topic: "things", User: user, Key: "k", Type: "thing.done", Payload: []byte(`{"v":1}`),
		Headers: map[string]string{"version": "1"}, At: time.Date(2026, 11, 11, 20, 0, 0, 0, time.UTC),
	}
}

func publishForever(where string) {
	s, _, err := open(context.Background(), where)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				_ = publish(context.Background(), s, rand.N(8), rand.N(5) == 0)
			}
		})
	}
	all.Wait()
}

// tail follows a source until stop is closed and what was there then is read.
func tail(t *testing.T, s *outbox.Source, stop <-chan struct{}) (ids []string) {
	for after, last := uint64(0), false; ; {
		select {
		case <-stop:
			last = true
		default:
		}
		msgs, scanned, err := s.Read(t.Context(), after, 50)
		if err != nil {
			continue // the server is busy; what was not numbered now is numbered next time
		}
		for _, m := range msgs {
			ids = append(ids, m.ID)
		}
		after = scanned
		if last && len(msgs) == 0 {
			return ids
		}
	}
}

// effects reads what was done.
func effects(t *testing.T, s sqldb.Store) (ids []string) {
	t.Helper()
	rows, err := s.Query(t.Context(), `SELECT user, n FROM effect`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user string
		var n int
		if err := rows.Scan(&user, &n); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, message(user, n).ID)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// check compares what a reader saw with what was done: all of it, nothing else, once, each user's in order.
func check(t *testing.T, who string, seen, done []string) {
	t.Helper()
	last := map[string]int{}
	for _, id := range seen {
		user, n, _ := strings.Cut(id, "-")
		at, _ := strconv.Atoi(n)
		if at != last[user]+1 {
			t.Fatalf("%s saw %s after %d", who, id, last[user])
		}
		last[user] = at
	}
	if len(seen) != len(done) {
		t.Fatalf("%s saw %d messages of %d things done", who, len(seen), len(done))
	}
}

// child starts a process that publishes; kill ends it as a power cut of the process would.
func child(t *testing.T, where string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), childAt+"="+where), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	return kill
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not reached: %s", what)
		}
	}
}

// On MySQL, where ids are given before the commit, readers of several processes that follow the table see every message whose
// transaction committed, no other, once, and each user's in order, while the publishing processes are killed and commits lose
// their answers.
func TestOnMySQL(t *testing.T) {
	server := engines.MariaDB(t)
	url := server.Database(t)
	proxy := faultproxy.New(t, server.Addr())
	s, closed, err := open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer closed()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	seen := make([][]string, 3)
	for i := range seen {
		db, closed, err := open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer closed()
		src, err := outbox.New(t.Context(), db, "room", "things", outbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { seen[i] = tail(t, src, stop) })
	}
	for round := range 3 {
		have := len(effects(t, s))
		through := strings.Replace(url, server.Addr(), proxy.Addr(), 1)
		kills := []func(){child(t, url), child(t, url), child(t, through)}
		until(t, "much was published", func() bool { return len(effects(t, s)) > have+150 })
		proxy.DropReplies()
		until(t, "more was published while answers were lost", func() bool { return len(effects(t, s)) > have+300 })
		for _, kill := range kills {
			kill()
		}
		proxy.Pass()
		t.Logf("round %d: %d done", round, len(effects(t, s)))
	}
	// A transaction of a killed process ends when the server notices; until then its rows are locked.
	var before []string
	until(t, "nothing commits any more", func() bool {
		now := effects(t, s)
		quiet := len(now) == len(before)
		before = now
		return quiet && publish(t.Context(), s, 0, false) == nil
	})
	close(stop)
	readers.Wait()
	done := effects(t, s)
	for i, ids := range seen {
		check(t, fmt.Sprint("reader ", i), ids, done)
		if !slices.Equal(ids, seen[0]) {
			t.Errorf("readers %d and 0 saw different orders", i)
		}
	}
	contract(t, s)
}

// On SQLite every message whose transaction was acknowledged or is in the file after a kill is read, each user's in order.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "room.db")
	for round := range 3 {
		kill := child(t, path)
		until(t, "the process has begun to write", func() bool {
			info, err := os.Stat(path + "-wal")
			return err == nil && info.Size() > 200<<10
		})
		kill()
		s, closed, err := open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		src, err := outbox.New(t.Context(), s, "room", "things", outbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		close(stop)
		check(t, fmt.Sprint("round ", round), tail(t, src, stop), effects(t, s))
		if round == 2 {
			contract(t, s)
		}
		closed()
	}
}

// contract is what holds on both engines: a transaction that rolled back has sent nothing; topics do not meet; what every group
// has got is counted and removed when it is old; what no engine could carry is refused.
func contract(t *testing.T, s sqldb.Store) {
	src, err := outbox.New(t.Context(), s, "room", "other", outbox.Options{Keep: -1})
	if err != nil {
		t.Fatal(err)
	}
	put := func(end error, ids ...string) error {
		return s.Do(t.Context(), 1, func(tx sqldb.Tx) error {
			for i, id := range ids {
				m := message("ann", i+1)
				m.ID, m.Topic = id, "other"
				if err := bus.PublishTx(tx, m); err != nil {
					return err
				}
			}
			return end
		})
	}
	rolled := errors.New("rolled back")
	if err := put(rolled, "never"); !errors.Is(err, rolled) {
		t.Fatal(err)
	}
	if err := put(nil, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	head, err := src.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	msgs, scanned, err := src.Read(t.Context(), 0, 10)
	if err != nil || len(msgs) != 3 || scanned != head || msgs[0].ID != "a" || msgs[2].ID != "c" || msgs[1].Offset <= msgs[0].Offset {
		t.Fatalf("read %+v up to %d, head %d, %v", msgs, scanned, head, err)
	}
	numbers := func(waiting, kept int64) {
		t.Helper()
		n, err := src.Numbers(t.Context())
		if err != nil || n.Waiting != waiting || n.Kept != kept || n.Oldest.IsZero() != (waiting == 0) {
			t.Fatalf("numbers %+v, %v; wanted %d waiting, %d kept", n, err, waiting, kept)
		}
		if lag, oldest, err := src.Lag(t.Context()); lag != waiting || !oldest.Equal(n.Oldest) || err != nil {
			t.Fatalf("lag %d since %v, %v; wanted %d since %v", lag, oldest, err, waiting, n.Oldest)
		}
	}
	numbers(3, 0)
	for range 2 {
		if err := src.Sent(t.Context(), msgs[1].Offset); err != nil {
			t.Fatal(err)
		}
		numbers(1, 0)
	}
	if left, _, err := src.Read(t.Context(), 0, 10); err != nil || len(left) != 1 || left[0].ID != "c" {
		t.Fatalf("left %+v, %v", left, err)
	}
	for _, bad := range []func(*driver.Message){
		func(m *driver.Message) { m.ID = "" }, func(m *driver.Message) { m.Type = "" }, func(m *driver.Message) { m.At = time.Time{} },
		func(m *driver.Message) { m.User = "\xff" }, func(m *driver.Message) { m.Payload = make([]byte, outbox.MaxPayload+1) },
		func(m *driver.Message) { m.Headers = map[string]string{"x": strings.Repeat("y", 5<<10)} },
	} {
		m := message("ann", 9)
		bad(&m)
		if err := s.Do(t.Context(), 1, func(tx sqldb.Tx) error { return bus.PublishTx(tx, m) }); err == nil {
			t.Errorf("published %.80v", m)
		}
	}
	skipped(t, s, src, put)
}

// skipped is a head that a reader passes unread: it is the number of the last message committed before it was asked for, also when
// one with a lower id commits afterwards, and what is behind it can be removed.
func skipped(t *testing.T, s sqldb.Store, src *outbox.Source, put func(error, ...string) error) {
	if !s.Shared() {
		return // one writer: there is no lower id to come
	}
	slow, fast := make(chan struct{}), make(chan error)
	go func() {
		fast <- s.Do(t.Context(), 2, func(tx sqldb.Tx) error {
			m := message("bob", 1)
			m.ID, m.Topic = "late", "other"
			if err := bus.PublishTx(tx, m); err != nil {
				return err
			}
			slow <- struct{}{}
			<-slow
			return nil
		})
	}()
	<-slow
	if err := put(nil, "d"); err != nil {
		t.Error(err)
	}
	head, err := src.Head(t.Context())
	slow <- struct{}{}
	if done := <-fast; err != nil || done != nil {
		t.Fatal(err, done)
	}
	msgs, _, err := src.Read(t.Context(), head, 10)
	if err != nil || len(msgs) != 1 || msgs[0].ID != "late" {
		t.Fatalf("after head %d there is %+v, %v", head, msgs, err)
	}
	if err := src.Sent(t.Context(), msgs[0].Offset); err != nil {
		t.Fatal(err)
	}
}
