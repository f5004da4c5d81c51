package mysqlstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/bus/mysqlstore"
	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// What is set aside survives several writers at once and answers that are lost.
func TestStore(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	t.Run("processes that park and settle at once keep every queue whole", func(t *testing.T) { manyWriters(t, server) })
	t.Run("what is not known to be done may be repeated", func(t *testing.T) { repeated(t, server) })
	t.Run("names compare as bytes", func(t *testing.T) { bytewise(t, server) })
}

func park(msgs ...driver.Message) (out []driver.Parked) {
	for _, m := range msgs {
		out = append(out, driver.Parked{Message: m, Due: time.Unix(1, 0)})
	}
	return out
}

// manyWriters has three processes park the same users' messages while two settle heads: each message is settled once, none is
// stuck, and at no time has a user two heads.
func manyWriters(t *testing.T, server *engines.Server) {
	url := database(t, server)
	const users, each, parkers = 4, 12, 3
	ctx := t.Context()
	var mu sync.Mutex
	settled := map[string]int{}
	var writers, settlers sync.WaitGroup
	for p := range parkers {
		store := mysqlstore.New(open(t, url))
		writers.Go(func() {
			for i := range each {
				var msgs []driver.Message
				for u := range users {
					msgs = append(msgs, message(fmt.Sprint("user-", (u+p)%users), p*each+i))
				}
				if err := store.Park(ctx, "g", park(msgs...)); err != nil {
					t.Errorf("park: %v", err)
				}
			}
		})
	}
	parked := make(chan struct{})
	for range 2 {
		store := mysqlstore.New(open(t, url))
		settlers.Go(func() {
			for last := false; !last; {
				select {
				case <-parked:
					last = true
				default:
				}
				for n := 1; n > 0; {
					n = settleHeads(t, store, func(id string) {
						mu.Lock()
						defer mu.Unlock()
						settled[id]++
					})
				}
			}
		})
	}
	writers.Wait()
	close(parked)
	settlers.Wait()
	store := mysqlstore.New(open(t, url))
	left, _, err := store.Count(ctx, "g")
	waiting, err2 := store.Users(ctx, "g")
	if err != nil || err2 != nil || left != 0 || len(waiting) != 0 || len(settled) != users*each*parkers {
		t.Fatalf("%d of %d messages were settled, %d are stuck, of users %v: %v %v", len(settled), users*each*parkers, left, waiting, err, err2)
	}
}

func settleHeads(t *testing.T, store *mysqlstore.Store, done func(id string)) int {
	heads, err := store.Parked(t.Context(), "g", time.Unix(10, 0), 100)
	if err != nil {
		t.Errorf("parked: %v", err)
		return 0
	}
	seen := map[string]bool{}
	var outcomes []driver.Outcome
	for _, h := range heads {
		if seen[h.Message.User] {
			t.Errorf("%s has two heads", h.Message.User)
		}
		seen[h.Message.User] = true
		outcomes = append(outcomes, driver.Outcome{Parked: h})
	}
	if err := store.Settle(t.Context(), "g", outcomes); err != nil {
		t.Errorf("settle: %v", err)
	}
	for _, h := range heads {
		done(h.Message.ID)
	}
	return len(heads)
}

// okPacket is the least that a server answers: cuts at this distance hit the answer to every statement.
const okPacket = 11

// repeated cuts every kind of write at every place of the server's answers, and repeats it as its caller would.
func repeated(t *testing.T, server *engines.Server) {
	direct := open(t, database(t, server))
	proxy := faultproxy.New(t, server.Addr())
	db := open(t, "mysql://root@"+proxy.Addr()+"/"+direct.Config().Database())
	store, cursors, truth := mysqlstore.New(db), mysqlstore.NewCursors(db, nil), mysqlstore.New(direct)
	ctx := t.Context()
	self := driver.Member{Group: "g", Topic: "topic", Owner: "me"}
	ok(t, cursors.Enrol(ctx, "g", "topic", []string{"a"}))
	lease, err := cursors.Take(ctx, self, []string{"a"}, time.Hour)
	ok(t, err)
	parked := func() []driver.Parked {
		heads, err := truth.Parked(ctx, "g", time.Unix(10, 0), 10)
		ok(t, err)
		return heads
	}
	cuts, unknown := 0, map[string]int{}
	// step reports whether the write got through uncut; when it did not, it has been repeated.
	step := func(what string, cut int, write func() error) bool {
		t.Helper()
		proxy.Limit(int64(cut))
		err := write()
		proxy.Pass()
		if err == nil {
			return true
		}
		cuts++
		if errors.Is(err, mysql.ErrUnknown) {
			unknown[what]++
			if what == "replay" && !errs.Is(err, errs.Unknown) {
				t.Errorf("a person is told: %v", err)
			}
		}
		if err := write(); err != nil && !(what == "replay" && errs.Is(err, errs.Conflict)) {
			t.Fatalf("%s, repeated after %v: %v", what, err, err)
		}
		return false
	}
	for cut, through := 0, false; !through; cut += okPacket {
		p := park(message("ann", cut))
		through = step("park", cut, func() error { return store.Park(ctx, "g", p) })
		heads := parked()
		if len(heads) != 1 {
			t.Fatalf("%d messages are parked, wanted one", len(heads))
		}
		bury := []driver.Outcome{{Parked: heads[0], Dead: &driver.DeadLetter{Message: heads[0].Message, Reason: "boom"}}}
		through = step("settle", cut, func() error { return store.Settle(ctx, "g", bury) }) && through
		letters, err := truth.List(ctx, 0, 1000, false)
		ok(t, err)
		if len(letters) != 1 || len(parked()) != 0 {
			t.Fatalf("%d letters are open and %d messages parked, wanted one letter", len(letters), len(parked()))
		}
		id := letters[0].ID
		through = step("replay", cut, func() error { return store.Replay(ctx, id, time.Unix(2, 0)) }) && through
		if heads = parked(); len(heads) != 1 || heads[0].Replays != 1 {
			t.Fatalf("after a replay %+v is parked", heads)
		}
		ok(t, truth.Settle(ctx, "g", []driver.Outcome{{Parked: heads[0]}}))
		mark := []driver.Mark{{Source: "a", Epoch: lease["a"].Epoch, Position: uint64(cut + 1)}}
		through = step("cursor", cut, func() error { _, err := cursors.Write(ctx, self, mark, time.Hour); return err }) && through
		if at, err := mysqlstore.NewCursors(direct, nil).Position(ctx, "g", "topic", "a"); err != nil || at != uint64(cut+1) {
			t.Fatalf("the cursor is at %d, wanted %d: %v", at, cut+1, err)
		}
	}
	t.Logf("%d cuts, of which the commit was unknown: %v", cuts, unknown)
	for _, what := range []string{"park", "settle", "replay", "cursor"} {
		if unknown[what] == 0 {
			t.Errorf("no answer to the commit of %s was lost in %d cuts", what, cuts)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bytewise: users that differ only in case, accents or trailing spaces have queues of their own.
func bytewise(t *testing.T, server *engines.Server) {
	store := mysqlstore.New(open(t, database(t, server)))
	users := []string{"Ann", "ann", "ann ", "änn"}
	for _, u := range users {
		if err := store.Park(t.Context(), "g", park(message(u, 1))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Users(t.Context(), "g")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(users) {
		t.Fatalf("users %q, %v", got, err)
	}
}
