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

// testStore: what is set aside survives several writers at once and answers that are lost.
func testStore(t *testing.T, server *engines.Server) {
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

// cutter writes through a proxy that cuts the server's answers short, and looks at what came of it beside the proxy.
type cutter struct {
	t       *testing.T
	proxy   *faultproxy.Proxy
	store   *mysqlstore.Store
	cursors *mysqlstore.Cursors
	truth   *mysqlstore.Store
	direct  *mysql.DB
	n       int // messages made
}

// repeated cuts the answers to every kind of write, first anywhere, then ever closer to the end of the answer to COMMIT, and
// repeats the write as its caller would.
func repeated(t *testing.T, server *engines.Server) {
	c := &cutter{t: t, proxy: faultproxy.New(t, server.Addr()), direct: open(t, database(t, server))}
	db := open(t, "mysql://root@"+c.proxy.Addr()+"/"+c.direct.Config().Database())
	c.store, c.cursors, c.truth = mysqlstore.New(db), mysqlstore.NewCursors(db, nil), mysqlstore.New(c.direct)
	for name, do := range map[string]func(cut int) error{
		"park": c.park, "settle": c.settle, "replay": c.replay, "cursor": c.cursor(),
	} {
		unknown := 0
		for low, high := 0, 4096; low < high; {
			cut := (low + high) / 2
			err := do(cut)
			if errors.Is(err, mysql.ErrUnknown) {
				unknown++
			}
			if err == nil {
				high = cut
			} else {
				low = cut + 1
			}
		}
		if unknown == 0 {
			t.Errorf("%s: no answer to a commit was lost", name)
		}
	}
}

// write returns what the write said whose answers were cut; if that was an error, it has been repeated.
func (c *cutter) write(cut int, settled errs.Code, write func() error) error {
	c.t.Helper()
	c.proxy.Limit(int64(cut))
	first := write()
	c.proxy.Pass()
	if first == nil {
		return nil
	}
	if err := write(); err != nil && (settled == "" || !errs.Is(err, settled)) {
		c.t.Fatalf("repeated after %v: %v", first, err)
	}
	return first
}

// parked checks that one message is parked, and returns it.
func (c *cutter) parked() driver.Parked {
	c.t.Helper()
	heads, err := c.truth.Parked(c.t.Context(), "g", time.Unix(10, 0), 10)
	ok(c.t, err)
	if len(heads) != 1 {
		c.t.Fatalf("%d messages are parked, wanted one", len(heads))
	}
	return heads[0]
}

func (c *cutter) clear() {
	ok(c.t, c.truth.Settle(c.t.Context(), "g", []driver.Outcome{{Parked: c.parked()}}))
}

// letter checks that one letter is open, and returns its id.
func (c *cutter) letter() int64 {
	c.t.Helper()
	letters, err := c.truth.List(c.t.Context(), driver.Filter{}, 0, 1000)
	ok(c.t, err)
	if len(letters) != 1 {
		c.t.Fatalf("%d letters are open, wanted one", len(letters))
	}
	return letters[0].ID
}

func (c *cutter) fresh() []driver.Parked {
	c.n++
	return park(message("ann", c.n))
}

func buried(p driver.Parked) []driver.Outcome {
	return []driver.Outcome{{Parked: p, Dead: &driver.DeadLetter{Message: p.Message, Reason: "boom"}}}
}

func (c *cutter) park(cut int) error {
	p := c.fresh()
	err := c.write(cut, "", func() error { return c.store.Park(c.t.Context(), "g", p) })
	c.clear()
	return err
}

func (c *cutter) settle(cut int) error {
	ok(c.t, c.truth.Park(c.t.Context(), "g", c.fresh()))
	outcome := buried(c.parked())
	err := c.write(cut, "", func() error { return c.store.Settle(c.t.Context(), "g", outcome) })
	ok(c.t, c.truth.Discard(c.t.Context(), c.letter(), "seen", time.Unix(2, 0)))
	return err
}

func (c *cutter) replay(cut int) error {
	ok(c.t, c.truth.Settle(c.t.Context(), "g", buried(c.fresh()[0])))
	id := c.letter()
	err := c.write(cut, errs.Conflict, func() error { return c.store.Replay(c.t.Context(), id, time.Unix(2, 0)) })
	if errors.Is(err, mysql.ErrUnknown) && !errs.Is(err, errs.Unknown) {
		c.t.Errorf("a person is told: %v", err)
	}
	if p := c.parked(); p.Replays != 1 {
		c.t.Errorf("after a replay %+v is parked", p)
	}
	c.clear()
	return err
}

func (c *cutter) cursor() func(cut int) error {
	ctx, position := c.t.Context(), uint64(0)
	self := driver.Member{Group: "g", Topic: "topic", Owner: "me"}
	ok(c.t, c.cursors.Enrol(ctx, "g", "topic", []string{"a"}))
	lease, err := c.cursors.Take(ctx, self, []string{"a"}, time.Hour)
	ok(c.t, err)
	return func(cut int) error {
		position++
		mark := []driver.Mark{{Source: "a", Epoch: lease["a"].Epoch, Position: position}}
		err := c.write(cut, "", func() error { _, err := c.cursors.Write(ctx, self, mark, time.Hour); return err })
		if at, posErr := mysqlstore.NewCursors(c.direct, nil).Position(ctx, "g", "topic", "a"); posErr != nil || at != position {
			c.t.Fatalf("the cursor is at %d, wanted %d: %v", at, position, posErr)
		}
		return err
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
