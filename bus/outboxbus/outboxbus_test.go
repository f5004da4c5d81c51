package outboxbus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
)

// The driver and the store keep the contract of their ports.
func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) drivertest.Harness {
		b := setup(t, 1)
		return drivertest.Harness{
			Driver: b.driver(outboxbus.Options{}), Store: sqlstore.New(b.db), Topic: "topic",
			Publish: func(msgs ...driver.Message) { b.logs[0].Append(msgs...) },
			Expire:  func() { b.clock.pass(time.Minute) },
		}
	})
}

// A busy source does not keep the others from being read: each gets its share of a poll, and the rest of the room is filled.
func TestSourcesShareAPoll(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	b.logs[0].Append(messages("ann", 100)...)
	b.logs[1].Append(messages("bob", 5)...)
	b.logs[2].Append(messages("cid", 100)...)
	r := b.reader(b.driver(outboxbus.Options{}), "g")
	batch := b.poll(r, 30)
	got := perSource(batch)
	if len(batch) != 30 || got["outbox-1"] != 5 || got["outbox-0"] < 10 || got["outbox-2"] < 10 {
		t.Fatalf("%d messages, by source %v", len(batch), got)
	}
	b.commit(r)
	if got = perSource(b.poll(r, 30)); got["outbox-0"] != 15 || got["outbox-2"] != 15 {
		t.Fatalf("the next poll took %v", got)
	}
}

// sparse is an outbox that looks at one entry a Read, as one does whose entries seldom carry a message.
type sparse struct{ *drivertest.Log }

func (s sparse) Read(ctx context.Context, after uint64, _ int) ([]driver.Message, uint64, error) {
	msgs, scanned, err := s.Log.Read(ctx, after, 1)
	if len(msgs) > 0 && msgs[0].Offset > after+1 {
		return nil, after + 1, err
	}
	return msgs, min(scanned, after+1), err
}

// Entries without a message between two messages do not make a batch of each message, and a long stretch of them is passed.
func TestSparseSourceFillsBatches(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	l := b.logs[0]
	for i, m := range messages("ann", 4) {
		l.Append(m)
		if i < 3 {
			l.Skip(1)
		}
	}
	l.Skip(100)
	l.Append(messages("bob", 1)...)
	d, err := outboxbus.New(b.cursors(), map[string][]outboxbus.Source{"topic": {sparse{l}}}, outboxbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	r := b.reader(d, "g")
	if batch := b.poll(r, 10); len(batch) != 4 {
		t.Fatalf("the first batch has %d messages, wanted 4", len(batch))
	}
	b.commit(r)
	if batch := b.poll(r, 10); len(batch) != 1 || batch[0].User != "bob" {
		t.Fatalf("the second batch is %v", batch)
	}
}

// A source that cannot be read does not keep the others from being read, and is read when it is back.
func TestFailingSourceIsSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	b.logs[0].Append(messages("ann", 1)...)
	b.logs[1].Append(messages("bob", 1)...)
	broken := errors.New("broken")
	b.logs[0].Fail(broken)
	r := b.reader(b.driver(outboxbus.Options{}), "g")
	if got := perSource(b.poll(r, 10)); got["outbox-1"] != 1 || len(got) != 1 {
		t.Fatalf("poll beside a broken source took %v", got)
	}
	b.commit(r)
	if _, err := r.Poll(t.Context(), 10); !errors.Is(err, broken) {
		t.Fatalf("poll of a broken source alone returned %v", err)
	}
	b.logs[0].Fail(nil)
	if got := perSource(b.poll(r, 10)); got["outbox-0"] != 1 {
		t.Fatalf("poll after the source came back took %v", got)
	}
}

// A source learns that something was sent only when every group has committed it, and learns it again after a restart.
func TestSentWaitsForEveryGroup(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.logs[0].Append(messages("ann", 4)...)
	d := b.driver(outboxbus.Options{})
	fast, slow := b.reader(d, "fast"), b.reader(d, "slow")
	b.poll(fast, 10)
	b.commit(fast)
	if got := b.logs[0].Acknowledged(); got != 0 {
		t.Fatalf("sent up to %d before the slow group read anything", got)
	}
	b.poll(slow, 3)
	b.commit(slow)
	if got := b.logs[0].Acknowledged(); got != 3 {
		t.Fatalf("sent up to %d, the slow group has committed 3", got)
	}
	for _, r := range []driver.Reader{fast, slow} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b.logs[0] = drivertest.NewLog("outbox-0")
	b.logs[0].Append(messages("ann", 4)...)
	again := b.reader(b.driver(outboxbus.Options{}), "slow")
	b.poll(again, 1)
	if got := b.logs[0].Acknowledged(); got != 3 {
		t.Fatalf("after a restart the source was told %d, wanted 3", got)
	}
}

// Entries without a message do not count as lag once they were looked at, and the cursor passes them when it is quiet.
func TestEntriesWithoutMessageArePassed(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.logs[0].Skip(1000)
	b.logs[0].Append(messages("ann", 1)...)
	b.logs[0].Skip(1000)
	d := b.driver(outboxbus.Options{})
	r := b.reader(d, "g")
	if batch := b.poll(r, 10); len(batch) != 1 || batch[0].Offset != 1001 {
		t.Fatalf("poll returned %v", batch)
	}
	b.commit(r)
	b.logs[0].Skip(500)
	if batch := b.poll(r, 10); len(batch) != 0 {
		t.Fatalf("poll returned %v", batch)
	}
	if lag, err := r.Lag(t.Context()); lag != 0 || err != nil {
		t.Fatalf("lag %d, %v", lag, err)
	}
	if got := b.logs[0].Acknowledged(); got != 2501 {
		t.Fatalf("sent up to %d, wanted 2501", got)
	}
}

// After the death of the only process its leases are void at once; where other processes may live they must run out.
func TestDeadProcessLeases(t *testing.T) {
	t.Parallel()
	for _, sole := range []bool{true, false} {
		b := setup(t, 1)
		b.logs[0].Append(messages("ann", 2)...)
		dead := b.reader(b.driver(outboxbus.Options{}), "g")
		b.poll(dead, 10)
		if sole {
			if err := b.cursors().Void(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		next := b.reader(b.driver(outboxbus.Options{}), "g")
		if got := len(b.poll(next, 10)); (got == 2) != sole {
			t.Errorf("sole %v: the next process got %d messages at once", sole, got)
		}
		b.clock.pass(31 * time.Second)
		if got := len(b.poll(next, 10)); got != 2 {
			t.Errorf("sole %v: the next process got %d messages after the lease", sole, got)
		}
		if err := dead.Commit(t.Context()); !errors.Is(err, outboxbus.ErrLeaseLost) {
			t.Errorf("sole %v: the dead process's commit returned %v", sole, err)
		}
	}
}

// A member that polls keeps its lease however long nothing comes.
func TestIdleMemberKeepsItsLease(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	d := b.driver(outboxbus.Options{})
	holder, other := b.reader(d, "g"), b.reader(d, "g")
	for range 10 {
		b.poll(holder, 10)
		b.poll(other, 10)
		b.clock.pass(10 * time.Second)
	}
	b.logs[0].Append(messages("ann", 1)...)
	if got := len(b.poll(other, 10)); got != 0 {
		t.Fatalf("the other member got %d messages", got)
	}
	if got := len(b.poll(holder, 10)); got != 1 {
		t.Fatalf("the holder got %d messages", got)
	}
}

// A take whose answer was lost does not lock the member out of its own lease.
func TestTakeThatWasCutOffIsTakenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.logs[0].Append(messages("ann", 1)...)
	d := b.driver(outboxbus.Options{})
	holder, other := b.reader(d, "g"), b.reader(d, "g")
	b.poll(holder, 10)
	var owner string
	if err := b.db.R.QueryRowContext(t.Context(), `SELECT owner FROM cursor`).Scan(&owner); err != nil {
		t.Fatal(err)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	b.poll(other, 10)
	until := b.clock.Now().Add(time.Hour).UnixNano()
	if _, err := b.db.W.ExecContext(t.Context(), `UPDATE cursor SET epoch = epoch + 1, lease_until = ?`, until); err != nil {
		t.Fatal(err)
	}
	if err := other.Commit(t.Context()); !errors.Is(err, outboxbus.ErrLeaseLost) {
		t.Fatalf("commit under an old epoch returned %v", err)
	}
	if got := len(b.poll(other, 10)); got != 1 {
		t.Fatalf("got %d messages under our own lease", got)
	}
	b.commit(other)
}

// One poll batch costs one synced transaction, whatever the number of sources.
func TestOneWritePerBatch(t *testing.T) {
	t.Parallel()
	b := setup(t, 8)
	r := b.reader(b.driver(outboxbus.Options{}), "g")
	b.poll(r, 10)
	frames := func() (n int) {
		var busy, moved int
		if err := b.db.W.QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &n, &moved); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, l := range b.logs {
		l.Append(messages(fmt.Sprint("u", i), 3)...)
	}
	if got := len(b.poll(r, 100)); got != 24 {
		t.Fatalf("polled %d messages", got)
	}
	if err := b.db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := frames()
	b.commit(r)
	if grown := frames() - before; grown != 1 {
		t.Fatalf("the commit wrote %d pages, wanted 1", grown)
	}
}

// Closing the driver ends a waiting poll and leaves no goroutine; a closed reader says so.
func TestCloseEndsPolls(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	d := b.driver(outboxbus.Options{})
	r := b.reader(d, "g")
	ended := make(chan error)
	go func() {
		for {
			if _, err := r.Poll(context.Background(), 10); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, outboxbus.ErrClosed) {
		t.Fatalf("poll ended with %v", err)
	}
	if _, err := d.Subscribe(t.Context(), "g", "topic"); !errors.Is(err, outboxbus.ErrClosed) {
		t.Fatalf("subscribe after close returned %v", err)
	}
}

// A waiting member is woken by a commit of the source, and by the member it stands by for, long before its idle time ends.
func TestNewsEndTheWait(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	d := b.driver(outboxbus.Options{Idle: time.Hour})
	holder, other := b.reader(d, "g"), b.reader(d, "g")
	got := make(chan string)
	next := func(r driver.Reader) {
		batch, err := r.Poll(t.Context(), 10)
		if err != nil || len(batch) != 1 {
			t.Errorf("poll returned %v, %v", batch, err)
			close(got)
			return
		}
		got <- batch[0].ID
	}
	b.logs[0].Append(messages("ann", 1)...)
	b.poll(holder, 10)
	b.commit(holder)
	go next(holder)
	b.logs[1].Append(messages("bob", 1)...)
	if id := <-got; id != "bob-0" {
		t.Fatalf("the holder got %q", id)
	}
	go next(other)
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if id := <-got; id != "bob-0" {
		t.Fatalf("the other member got %q", id)
	}
}

// Wrong wiring is refused with the name of what is wrong.
func TestWrongWiring(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	twice := map[string][]outboxbus.Source{"topic": {b.logs[0], b.logs[0]}}
	if _, err := outboxbus.New(b.cursors(), twice, outboxbus.Options{}); err == nil {
		t.Error("a source given twice was accepted")
	}
	if _, err := outboxbus.New(b.cursors(), nil, outboxbus.Options{Lease: time.Second, Heartbeat: time.Minute}); err == nil {
		t.Error("a heartbeat longer than the lease was accepted")
	}
	if _, err := b.driver(outboxbus.Options{}).Subscribe(t.Context(), "g", "nowhere"); err == nil {
		t.Error("an unknown topic was accepted")
	}
}

// All messages of a user go to one of twelve partitions, and users spread over all of them.
func TestPartitionsSpreadUsers(t *testing.T) {
	t.Parallel()
	d := setup(t, 1).driver(outboxbus.Options{})
	seen := map[int]int{}
	for i := range 12000 {
		seen[d.Partition("topic", fmt.Sprint("user-", i))]++
	}
	if len(seen) != 12 {
		t.Fatalf("partitions in use: %v", seen)
	}
	var off []int
	for p, n := range seen {
		if p < 0 || p > 11 || n < 850 || n > 1150 {
			off = append(off, p)
		}
	}
	if d := cmp.Diff([]int(nil), off); d != "" {
		t.Fatalf("partitions out of balance %v: %v", off, seen)
	}
}
