package mysqlstock_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/fault"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
)

// process is one of several that sell from the same database.
type process struct {
	*stock.Stock
	db *mysqlstock.DB
}

func (e *env) process(t testing.TB, url string, o mysqlstock.Options) *process {
	t.Helper()
	return started(t, e.open(t, url, o))
}

func started(t testing.TB, d *mysqlstock.DB) *process {
	t.Helper()
	var s *stock.Stock
	until(t, "the stock is read", func() (ok bool) { // a session may be killed
		var err error
		s, err = stock.New(t.Context(), d, stock.Options{Deadline: time.Minute, MaxBatch: 64})
		return err == nil
	})
	p := &process{s, d}
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *process) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("close stock: %v", err)
	}
}

// sell creates the sale "s" of SKU "a".
func (p *process) sell(t testing.TB, units, limit int64) {
	t.Helper()
	now := time.Now()
	_, err := p.CreateSale(t.Context(), driver.Sale{
		ID: "s", Title: "s", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour, Grace: time.Minute, Admission: "open",
		Items: []driver.SaleItem{{SKU: "a", Title: "a", Price: 100, Currency: "CNY", Limit: limit}},
	}, map[string]int64{"a": units}, driver.Audit{Who: "op", Act: "create"})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *process) change(t testing.TB, change func(*driver.Sale)) {
	t.Helper()
	_, err := p.UpdateSale(t.Context(), "s", 0, func(s *driver.Sale) error { change(s); return nil }, driver.Audit{Who: "op", Act: "change"})
	if err != nil {
		t.Error(err)
	}
}

func (p *process) buy(user, key string) stock.Answer {
	return p.Attempt(context.Background(), stock.Request{Sale: "s", User: user, Key: key, Items: []stock.Item{{SKU: "a", Quantity: 1}}})
}

// audit fails the test unless stock rows, journal, claims and allowances tell the same, and returns the winners by user.
func audit(t testing.TB, p *process) map[string][]*driver.Attempt {
	t.Helper()
	ctx := context.Background()
	snap, err := p.Snapshot(ctx)
	if err != nil || len(snap.Stock) != 1 {
		t.Fatalf("snapshot: %+v, %v", snap, err)
	}
	row := snap.Stock[0]
	wins := map[string][]*driver.Attempt{}
	var offered, held, sold, back, next int64
	for after := uint64(0); ; {
		page, err := p.Journal(ctx, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if int64(e.Seq) != next+1 {
				t.Fatalf("entry %d comes after %d", e.Seq, next)
			}
			next = int64(e.Last())
			switch e.Kind {
			case driver.OfferKind, driver.Withdraw:
				offered += e.Offer.Delta
			case driver.Hold:
				held++
				wins[e.Attempt.Key.User] = append(wins[e.Attempt.Key.User], e.Attempt)
			case driver.Sell:
				held, sold = held-1, sold+1
			case driver.Release:
				held, back = held-1, back+1
			}
			if held+sold > offered {
				t.Fatalf("at entry %d %d units are held and %d sold of %d", e.Seq, held, sold, offered)
			}
		}
		after = uint64(next)
	}
	if row.Held != held || row.Sold != sold || row.Available != offered-held-sold || row.Offered-row.Withdrawn != offered || uint64(next) != snap.Seq {
		t.Errorf("the journal leads to held %d, sold %d of %d at %d; the row is %+v at %d", held, sold, offered, next, row, snap.Seq)
	}
	reads := &driver.Reads{}
	var want []int64
	for _, user := range slices.Sorted(maps.Keys(wins)) {
		n := int64(0)
		for _, a := range wins[user] {
			if a.State != driver.Released {
				n++
			}
		}
		reads.Taken, want = append(reads.Taken, driver.TakenRef{Sale: "s", SKU: "a", User: user}), append(want, n)
	}
	if err := p.db.Decide(ctx, reads, func(st *driver.State) *driver.Changes {
		if !slices.Equal(st.Taken, want) {
			t.Errorf("allowances are not what the claims say")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	return wins
}

// One user with a limit of one, thousands of attempts in two processes at once: one win.
func limitHoldsAcrossProcesses(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	both := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	both[0].sell(t, 1000, 1)
	const each = 1500
	var won, limited atomic.Int64
	var wg sync.WaitGroup
	for n, p := range both {
		for i := range each {
			wg.Go(func() {
				user := "the one"
				if i%3 == 0 {
					user = fmt.Sprint("u", i%10)
				}
				switch a := p.buy(user, fmt.Sprint(n, "-", i)); {
				case a.State == stock.Won:
					won.Add(1)
				case a.Reason == errs.LimitReached:
					limited.Add(1)
				default:
					t.Errorf("%+v", a)
				}
			})
		}
	}
	wg.Wait()
	for user, wins := range audit(t, both[1]) {
		if len(wins) != 1 {
			t.Errorf("%s won %d times", user, len(wins))
		}
	}
	if won.Load() != 11 || won.Load()+limited.Load() != 2*each {
		t.Errorf("%d won, %d are told that the limit is reached", won.Load(), limited.Load())
	}
}

// The same key in two processes at once has one answer.
func keyHasOneAnswer(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	both := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	both[0].sell(t, 1000, 0)
	const keys = 300
	answers := make([][4]stock.Answer, keys)
	var wg sync.WaitGroup
	for i := range answers {
		for n := range 4 {
			wg.Go(func() { answers[i][n] = both[n%2].buy("u", fmt.Sprint(i)) })
		}
	}
	wg.Wait()
	for i, a := range answers {
		fresh := 0
		for _, x := range a {
			if x.State != stock.Won || x.Attempt.ID != a[0].Attempt.ID {
				t.Fatalf("key %d: %+v and %+v", i, a[0], x)
			}
			if !x.Replayed {
				fresh++
			}
		}
		if fresh != 1 {
			t.Errorf("key %d was decided %d times", i, fresh)
		}
	}
	if n := len(audit(t, both[0])["u"]); n != keys {
		t.Errorf("%d wins", n)
	}
}

// After an operator's close or pause is answered in one process, no process commits a hold.
func noHoldAfterClose(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	three := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	op := three[2]
	op.sell(t, 1_000_000, 0)
	var stop atomic.Bool
	var won atomic.Int64
	var wg sync.WaitGroup
	for n, p := range three[:2] {
		for c := range 8 {
			wg.Go(func() {
				for i := 0; !stop.Load(); i++ {
					if a := p.buy(fmt.Sprint("u", n, c), fmt.Sprint(i)); a.State == stock.Won {
						won.Add(1)
					} else if a.Reason != errs.SalePaused && a.Reason != errs.SaleClosed {
						t.Errorf("%+v", a)
						return
					}
				}
			})
		}
	}
	holds := func() uint64 {
		snap, err := op.Snapshot(t.Context())
		if err != nil {
			t.Error(err)
			return 0
		}
		return snap.Seq
	}
	quiet := func(what string, change func(*driver.Sale)) {
		before := won.Load()
		until(t, "sales go on", func() bool { return won.Load() > before+100 })
		op.change(t, change)
		at := holds()
		for range 20 {
			if now := holds(); now != at {
				t.Fatalf("after %s was answered at %d, the journal goes on to %d", what, at, now)
			}
			op.change(t, func(s *driver.Sale) { s.Title += "." })
		}
	}
	for range 3 {
		quiet("a pause", func(s *driver.Sale) { s.Paused = true })
		op.change(t, func(s *driver.Sale) { s.Paused = false })
	}
	quiet("the close", func(s *driver.Sale) { s.ClosedAt = time.Now() })
	stop.Store(true)
	wg.Wait()
	audit(t, op)
}

// While one process commits, others decide on other SKUs: they wait for it only when they write.
func decisionsOverlap(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	points := &fault.Points{}
	a, b := e.open(t, url, mysqlstock.Options{Fault: points}), e.open(t, url, mysqlstock.Options{})
	stocked := func(sku string) *driver.Changes {
		return &driver.Changes{Stock: []driver.Stock{{Sale: "s", SKU: sku, Version: 1}}}
	}
	for _, sku := range []string{"a", "b"} {
		if err := a.Decide(t.Context(), &driver.Reads{}, func(*driver.State) *driver.Changes { return stocked(sku) }); err != nil {
			t.Fatal(err)
		}
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	points.Set(mysqlstock.FaultCommit, func(int) error {
		close(inside)
		<-leave
		return nil
	})
	done := make(chan error, 1)
	touch := func(d *mysqlstock.DB, sku string) error {
		return d.Decide(t.Context(), &driver.Reads{Stock: []driver.StockRef{{Sale: "s", SKU: sku}}, Sales: []string{"s"}}, func(st *driver.State) *driver.Changes {
			row := *st.Stock[0]
			row.Version++
			return &driver.Changes{Stock: []driver.Stock{row}}
		})
	}
	go func() { done <- touch(a, "a") }()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // less than the wait for a lock
	defer cancel()
	decided := false
	err := b.Decide(ctx, &driver.Reads{Stock: []driver.StockRef{{Sale: "s", SKU: "b"}}, Sales: []string{"s"}}, func(*driver.State) *driver.Changes {
		decided = true
		return nil
	})
	close(leave)
	if err != nil || !decided {
		t.Errorf("a decision beside a commit: %v", err)
	}
	if err := errors.Join(<-done, touch(b, "b")); err != nil {
		t.Error(err)
	}
}

// Operators in two processes who change the same version of a sale: one of them does.
func versionHasOneSuccessor(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	both := []*process{e.process(t, url, mysqlstock.Options{}), e.process(t, url, mysqlstock.Options{})}
	both[0].sell(t, 1, 0)
	for version := int64(1); version < 15; version++ {
		var done atomic.Int64
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				_, err := both[n%2].UpdateSale(t.Context(), "s", version, func(s *driver.Sale) error { s.Title = fmt.Sprint(n); return nil }, driver.Audit{Who: "op"})
				if err == nil {
					done.Add(1)
				} else if !errs.Is(err, errs.VersionMismatch) {
					t.Errorf("update: %v", err)
				}
			})
		}
		wg.Wait()
		// Two updates of one version in one batch are one new version: they are decided one after the other.
		if done.Load() < 1 || done.Load() > 2 {
			t.Errorf("version %d has %d successors", version, done.Load())
		}
	}
}

// Three processes sell 2,000 units to 20,000 attempts, while sessions are killed and one process is closed and opened again:
// every unit is sold once, and everything that is written agrees.
func stampede(t *testing.T, e *env) {
	t.Parallel()
	url := e.server.Database(t)
	const units, users, each = 2000, 5000, 4
	three := make([]atomic.Pointer[process], 3)
	for i := range three {
		three[i].Store(e.process(t, url, mysqlstock.Options{}))
	}
	three[0].Load().sell(t, units, 1)
	stop := make(chan struct{})
	var faults, wg sync.WaitGroup
	faults.Go(func() { // sessions die
		admin := e.admin(t, url)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(50+rand.IntN(150)) * time.Millisecond):
				killSessions(t, admin)
			}
		}
	})
	var calls atomic.Int64
	faults.Go(func() { // a process is replaced
		until(t, "a quarter is called", func() bool { return calls.Load() > users*each/4 })
		old := three[2].Load()
		var db *mysqlstock.DB
		until(t, "a process is opened though sessions are killed", func() (ok bool) {
			var err error
			db, err = mysqlstock.Open(context.Background(), config(t, url), mysqlstock.Options{})
			return err == nil
		})
		t.Cleanup(func() { _ = db.Close() })
		fresh := started(t, db)
		three[2].Store(fresh)
		old.stop(t)
		if err := old.db.Close(); err != nil {
			t.Error(err)
		}
	})
	var won atomic.Int64
	told := make([]atomic.Int64, users)
	gate := make(chan struct{}, 600) // attempts in flight
	for i := range users * each {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			n := calls.Add(1)
			user := i % users
			for {
				a := three[(n+int64(i))%3].Load().buy(fmt.Sprint("u", user), fmt.Sprint(i/users))
				switch {
				case a.State == stock.Won:
					if prior := told[user].Swap(int64(a.Attempt.ID)); prior == 0 {
						won.Add(1)
					} else if prior != int64(a.Attempt.ID) {
						t.Errorf("user %d is told two wins", user)
					}
					return
				case a.Reason == errs.LimitReached, a.Reason == errs.StockHeld:
					return
				case a.State == stock.Unknown, a.Reason == errs.ReducedCapacity:
					continue // ask again with the same key
				default:
					t.Errorf("user %d: %+v", user, a)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	faults.Wait()
	wins := audit(t, three[1].Load())
	for user, list := range wins {
		if len(list) != 1 {
			t.Errorf("%s has %d wins", user, len(list))
		}
	}
	for user := range told {
		id := told[user].Load()
		if list := wins[fmt.Sprint("u", user)]; id != 0 && (len(list) == 0 || int64(list[0].ID) != id) {
			t.Errorf("user %d was told the win %d, which is not there", user, id)
		}
	}
	if len(wins) != units {
		t.Errorf("%d units are held, want %d", len(wins), units)
	}
	t.Logf("%d winners told of %d", won.Load(), len(wins))
}

var errPlanned = errors.New("planned")
