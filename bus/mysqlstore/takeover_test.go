package mysqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/outboxbus"
	"penstock/internal/engines"
)

// testTakeover: two processes read the same sources, one at a time, whatever happens to either.
func testTakeover(t *testing.T, server *engines.Server) {
	t.Run("a paused holder loses its lease and its commit is refused", func(t *testing.T) { pausedHolder(t, server) })
	t.Run("who stands by goes on when the holder leaves", func(t *testing.T) { holderLeaves(t, server) })
	t.Run("a holder finds what others commit", func(t *testing.T) { othersCommit(t, server) })
}

// short makes leases that a test can wait for.
func short() outboxbus.Options {
	return outboxbus.Options{Lease: 600 * time.Millisecond, Heartbeat: 100 * time.Millisecond, Idle: 50 * time.Millisecond}
}

func pausedHolder(t *testing.T, server *engines.Server) {
	url := database(t, server)
	log := drivertest.NewLog("outbox")
	log.Append(messages("ann", 2)...)
	paused, other := start(t, url, short(), log).reader("g"), start(t, url, short(), log).reader("g")
	mine := next(t, paused, 1)
	if batch, err := other.Poll(t.Context(), 1); err != nil || len(batch) > 0 {
		t.Fatalf("the one who stands by got %v, %v", batch, err)
	}
	theirs := next(t, other, 1) // when the lease has run out by the server's clock
	if theirs[0].ID != mine[0].ID {
		t.Fatalf("the successor got %s, the paused holder had %s", theirs[0].ID, mine[0].ID)
	}
	if paused.Owns(mine[0]) || !other.Owns(mine[0]) {
		t.Fatal("after its lease ran out the paused holder must not try parked messages")
	}
	if err := paused.Commit(t.Context()); !errors.Is(err, driver.ErrLeaseLost) {
		t.Fatalf("the paused holder's commit: %v", err)
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if batch := next(t, other, 10); len(batch) != 1 || batch[0].ID != "ann-1" {
		t.Fatalf("the successor goes on with %v", batch)
	}
	if batch, err := paused.Poll(t.Context(), 10); err != nil || len(batch) > 0 {
		t.Fatalf("the paused holder stands by now, and got %v, %v", batch, err)
	}
}

func holderLeaves(t *testing.T, server *engines.Server) {
	url := database(t, server)
	log := drivertest.NewLog("outbox")
	log.Append(messages("ann", 2)...)
	long := outboxbus.Options{Lease: time.Hour, Idle: 20 * time.Millisecond}
	holder, other := start(t, url, long, log).reader("g"), start(t, url, long, log).reader("g")
	next(t, holder, 1)
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if batch := next(t, other, 10); len(batch) != 1 || batch[0].ID != "ann-1" {
		t.Fatalf("after the holder left the other got %v", batch)
	}
}

func othersCommit(t *testing.T, server *engines.Server) {
	log := drivertest.NewLog("outbox")
	r := start(t, database(t, server), outboxbus.Options{Idle: time.Hour}, log).reader("g")
	got := make(chan []driver.Message)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	go func() {
		batch, err := r.Poll(ctx, 10)
		if err != nil {
			t.Error(err)
		}
		got <- batch
	}()
	log.Append(messages("ann", 1)...)
	if batch := <-got; len(batch) != 1 {
		t.Fatalf("got %v", batch)
	}
}

// seen records what was handed out and what was committed, by all members.
type seen struct {
	mu     sync.Mutex
	first  map[string]bool
	order  map[string][]int // by user: numbers in the order in which they were first handed out
	copies int
}

func (s *seen) add(batch []driver.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range batch {
		if s.first[m.ID] {
			s.copies++
			continue
		}
		s.first[m.ID] = true
		s.order[m.User] = append(s.order[m.User], int(m.Payload[0]))
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.first)
}

// consume reads and commits until ctx ends; what fails is tried again, as the bus does.
func consume(ctx context.Context, r driver.Reader, s *seen) {
	for ctx.Err() == nil {
		batch, err := r.Poll(ctx, 3)
		if err != nil || len(batch) == 0 {
			continue
		}
		s.add(batch)
		for ctx.Err() == nil {
			if err = r.Commit(ctx); err == nil || errors.Is(err, driver.ErrLeaseLost) {
				break
			}
		}
	}
}

// Two processes go on after the server was killed in the middle of their work, and nothing is lost or skipped.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	url := database(t, server)
	logs := []*drivertest.Log{drivertest.NewLog("outbox-0"), drivertest.NewLog("outbox-1")}
	users, each := []string{"ann", "bob"}, 120
	s := &seen{first: map[string]bool{}, order: map[string][]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for range 2 {
		r := start(t, url, short(), logs...).reader("g")
		all.Go(func() { consume(ctx, r, s) })
	}
	done := func(n int) {
		persist(t, "consuming", func(context.Context) error {
			if got := s.count(); got < n {
				return errors.New("not all yet")
			}
			return nil
		})
	}
	for i := range each {
		for k, u := range users {
			logs[k].Append(message(u, i))
		}
		if i%40 == 20 {
			server.Kill(t)
			server.Start(t)
			done(i) // a good part of it
		}
	}
	done(each * len(users))
	for _, u := range users {
		for i, n := range s.order[u] {
			if i != n {
				t.Fatalf("%s: message %d was first handed out as number %d", u, n, i)
			}
		}
	}
	persist(t, "telling the sources", func(context.Context) error {
		for _, l := range logs {
			if got := l.Acknowledged(); got != uint64(each) {
				return errors.New("not told yet")
			}
		}
		return nil
	})
	t.Logf("%d messages, %d handed out again", s.count(), s.copies)
}
