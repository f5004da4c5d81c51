package redisgate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/internal/engines"
	"penstock/internal/faultproxy"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/gate/redisgate"
)

// quick is the pause between two comparisons where a test does not measure it.
const quick = 250 * time.Millisecond

const keyG, keyM = "penstock:gate:{s}:g", "penstock:gate:{s}:m"

// A winner's retry meets his win on any instance, and a user is one user for all of them: too fast, over the limit.
func TestOneUserOnSeveralInstances(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 2, redisgate.Options{Every: quick, Calls: 1, Per: 300 * time.Millisecond, Attempt: 50 * time.Millisecond}, s.URL())
	r.create("s", 10, 1)
	r.useful("s")
	r.narrows(t, s)
	r.want("first", r.buy(0, "ann", "k"), "won")
	r.want("retry elsewhere", r.buy(1, "ann", "k"), "won+")
	r.want("another key elsewhere", r.buy(1, "ann", "k2"), "quota-exceeded")
	r.want("another user", r.buy(1, "bob", "k"), "won")
	r.within(patience, "the decision tells the limit", func() bool { return r.buy(1, "ann", "k2") == "limit-reached" })
	decided := r.db.keys.Load()
	r.within(patience, "redis tells the limit to the other", func() bool { return r.buy(0, "ann", "k3") == "limit-reached" })
	if n := r.db.keys.Load() - decided; n > 1 {
		t.Errorf("%d attempts over the limit were decided, want at most 1", n)
	}
	r.want("the bound win still", r.buy(0, "ann", "k"), "won+")
}

// Not much more than the free stock goes on to SQL, whatever comes; and a released unit is free again on all instances at once.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 2, redisgate.Options{Every: quick, Attempt: 50 * time.Millisecond}, s.URL())
	r.create("s", 100, 1)
	r.useful("s")
	r.narrows(t, s)
	before := r.db.keys.Load()
	var won []stock.ID
	c := newCrowd(r, 2000)
	c.run(64)
	for _, b := range c.buyers {
		if b.won != 0 {
			won = append(won, b.won)
		}
	}
	if len(won) != 100 {
		t.Fatalf("%d won, want 100", len(won))
	}
	if n := r.db.keys.Load() - before; n > 1000 { // without narrowing it is one for each attempt, 2000 and more
		t.Errorf("%d attempts were decided for 100 units and 2000 buyers, want at most 1000", n)
	} else {
		t.Logf("%d attempts were decided for 100 units and 2000 buyers", n)
	}
	if _, err := r.instances[0].stock.Release(t.Context(), won[0], driver.Held, "cancelled", ""); err != nil {
		t.Fatal(err)
	}
	n := 0
	r.within(patience, "the unit is sold again elsewhere", func() bool { n++; return r.buy(1, fmt.Sprint("late", n), "k") == "won" })
}

// Once SQL says that all is sold, refusals cost neither Redis nor SQL, and the winners are still told that they won. Units that
// come back, on another instance, are seen within two seconds.
func TestSoldOutCostsAMemoryLook(t *testing.T) {
	t.Parallel()
	r := open(t, 2, redisgate.Options{Every: quick, Attempt: 50 * time.Millisecond}, start(t).URL())
	r.create("s", 3, 1)
	r.useful("s")
	for i := range 3 {
		a := r.ask(0, "s", fmt.Sprint("u", i), "k")
		if a.State != stock.Won {
			t.Fatal(a)
		}
		_, err := r.instances[0].stock.Sell(t.Context(), a.Attempt.ID, "paid", "")
		must(t, err)
	}
	n := 0
	quiet := func() bool {
		calls, lookups, keys := r.instances[1].calls.Load(), r.db.lookups.Load(), r.db.keys.Load()
		for range 50 {
			n++ // a user who was told so by SQL has a bound key and is looked up for ever
			if said := r.buy(1, fmt.Sprint("new", n), "k"); said != "sold-out" {
				return false
			}
		}
		return calls == r.instances[1].calls.Load() && lookups == r.db.lookups.Load() && keys == r.db.keys.Load()
	}
	r.within(patience, "refusals ask nobody", quiet)
	for i := range 3 {
		r.want("a winner on the other instance", r.buy(1, fmt.Sprint("u", i), "k"), "won+")
	}
	_, err := r.instances[0].Offer(t.Context(), "op", "s", "tea", 1, "", "more came")
	must(t, err)
	r.within(patience, "more came", func() bool { return r.buy(1, "cat", "k") == "won" })
}

// Redis that is not there at the start is no error: the sale goes on, and the gate becomes useful when it is there.
func TestRedisComesLater(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := faultproxy.New(t, s.Addr())
	p.Refuse()
	r := open(t, 1, redisgate.Options{Every: quick}, "redis://"+p.Addr())
	r.create("s", 10, 1)
	r.want("without redis", r.buy(0, "ann", "k"), "won")
	if st := r.instances[0].gate.State(); st != redisgate.Gone {
		t.Errorf("state %v", st)
	}
	p.Pass()
	r.useful("s")
	r.want("the win from before", r.buy(0, "ann", "k"), "won+")
}

// A standby that lacks the last writes is promoted: its content is not believed, wins are told as before, and the gate is
// useful again.
func TestFailoverToOlderCopy(t *testing.T) {
	t.Parallel()
	primary := start(t, "--repl-diskless-sync-delay", "0")
	standby := &server{engines.RedisReplica(t, primary.Server), nil}
	standby.c = dial(t, standby.Server)
	r := open(t, 2, redisgate.Options{Every: quick, Attempt: 100 * time.Millisecond}, primary.URL()+"?replica="+standby.Addr())
	r.create("s", 100, 1)
	r.useful("s")
	for i := range 10 {
		r.want("early", r.buy(i%2, fmt.Sprint("early", i), "k"), "won")
	}
	r.within(patience, "the standby has the content", func() bool {
		marks := standby.do(t, "HLEN", keyM)
		n, err := marks.AsInt64()
		return err == nil && n >= 10
	})
	standby.do(t, "REPLICAOF", "NO", "ONE")
	kept := standby.do(t, "HGET", keyG, "t")
	token, err := kept.ToString()
	must(t, err)
	for i := range 40 {
		r.want("late", r.buy(i%2, fmt.Sprint("late", i), "k"), "won")
	}
	primary.Kill(t)
	for i := range 20 {
		r.want("during", r.buy(i%2, fmt.Sprint("during", i), "k"), "won")
	}
	t.Logf("useful again after %v", r.useful("s"))
	kept = standby.do(t, "HGET", keyG, "t")
	now, err := kept.ToString()
	must(t, err)
	if now == token {
		t.Errorf("the old build %s is still believed", token)
	}
	for i := range 40 {
		r.want("a late win", r.buy((i+1)%2, fmt.Sprint("late", i), "k"), "won+")
	}
	// Replays may have been taken from what Redis counts for a moment.
	r.within(stated, "a new one", func() bool { return r.buy(0, "new", "k") == "won" })
}

// Many sales on a cluster of three: each has its slot, and all sell exactly.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := engines.RedisCluster(t)
	r := open(t, 2, redisgate.Options{Every: quick}, nodes[0].URL()+"?cluster=true")
	for i := range 4 {
		r.create(fmt.Sprint("s", i), 20, 1)
	}
	for i := range 4 {
		id := fmt.Sprint("s", i)
		r.useful(id)
		c := newCrowd(r, 60)
		c.sale = id
		c.run(16)
		c.check(20)
	}
}

// Nobody waits for a silent Redis longer than twice the deadline, however many come at once; then nobody waits at all.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := faultproxy.New(t, s.Addr())
	const deadline = time.Second // far above what 2,000 goroutines take on a busy machine
	r := open(t, 1, redisgate.Options{Every: quick, Deadline: deadline}, "redis://"+p.Addr())
	r.create("s", 10, 1)
	r.useful("s")
	p.BlackHole()
	g := r.instances[0].gate
	var worst atomic.Int64
	storm := func() time.Duration {
		worst.Store(0)
		var wg sync.WaitGroup
		for i := range 2000 {
			wg.Go(func() {
				begin := time.Now()
				v := g.Admit(t.Context(), begin, &stock.Request{Sale: "s", User: fmt.Sprint(i), Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
				if v.Say != gate.Pass {
					t.Errorf("told %v without a reason", v)
				}
				for took := int64(time.Since(begin)); ; {
					if old := worst.Load(); took <= old || worst.CompareAndSwap(old, took) {
						break
					}
				}
			})
		}
		wg.Wait()
		return time.Duration(worst.Load())
	}
	first := storm()
	second := storm()
	t.Logf("longest wait %v, then %v", first, second)
	if first > 3*deadline {
		t.Errorf("somebody waited %v for redis", first)
	}
	if second > deadline {
		t.Errorf("the breaker is open and somebody still waited %v", second)
	}
	p.Pass()
	r.useful("s")
}

// A retry on another instance while the first call is in flight is not refused by any filter: it waits for the same answer.
func TestRetryWhileTheFirstCallIsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 2, redisgate.Options{Every: quick, Calls: 1, Attempt: 50 * time.Millisecond}, s.URL())
	r.create("s", 1, 1)
	r.useful("s")
	r.narrows(t, s)
	r.db.mu.Lock()
	answers := make(chan string, 2)
	go func() { answers <- r.buy(0, "ann", "k") }()
	r.within(patience, "the first is marked", func() bool { return s.count(t, "HLEN", keyM) == 1 })
	go func() { answers <- r.buy(1, "ann", "k") }()
	select {
	case a := <-answers:
		answers <- a
		t.Errorf("told %q while the first call was in flight", a)
	case <-time.After(100 * time.Millisecond):
	}
	r.db.mu.Unlock()
	if got := [2]string{<-answers, <-answers}; got != [2]string{"won", "won+"} && got != [2]string{"won+", "won"} {
		t.Errorf("told %q", got)
	}
}

// While SQL stands still, what goes on to it is the free stock, however many come.
func TestAdmittedUnitsAreTakenOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 2, redisgate.Options{Attempt: 50 * time.Millisecond}, s.URL())
	const units, buyers = 50, 400
	r.create("s", units, 1)
	r.useful("s")
	r.narrows(t, s)
	r.db.mu.Lock()
	answers := make(chan string, buyers)
	for i := range buyers {
		go func() { answers <- r.buy(i%2, fmt.Sprint("u", i), "k") }()
	}
	refused, won := 0, 0
	for refused < buyers-3*units { // a comparison in between admits the free stock of SQL once more
		select {
		case a := <-answers:
			r.want("while SQL stands still", a, "stock-held")
			refused++
			continue
		case <-time.After(time.Second):
			t.Errorf("only %d of %d were refused while SQL stood still", refused, buyers)
		}
		break
	}
	r.db.mu.Unlock()
	for range buyers - refused {
		if <-answers == "won" {
			won++
		}
	}
	if won != units {
		t.Errorf("%d won, want %d", won, units)
	}
}

// A copy that has lost the last writes is not believed by the first attempt already, though nobody noticed a failover.
func TestOlderCopyIsRefusedByTheScript(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := open(t, 1, redisgate.Options{Attempt: 50 * time.Millisecond}, s.URL())
	r.create("s", 100, 1)
	r.useful("s")
	r.narrows(t, s)
	for i := range 5 {
		r.want("before", r.buy(0, fmt.Sprint("u", i), "k"), "won")
	}
	s.do(t, "HSET", keyG, "q", "2", "stea", "999 0 0")
	r.want("the first after it", r.buy(0, "new", "k"), "won")
}
