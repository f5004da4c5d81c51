package kafkabus

import (
	"context"
	"errors"
	"sync"
	"testing"

	"penstock/bus/driver"
)

// A member that stands still past its session loses its partitions: the other one handles its batch, its late commit is
// refused, and it goes on as a new member. Effects happen once by message id.
func paused(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	other := b.driverOver(b.open(nil), quick())
	b.log.Append(story(40, 1, 10)...)
	e := newEffects()
	slow := b.reader(d, "g")
	var batch []driver.Message
	b.until("the first member has a batch", func() bool {
		var err error
		batch, err = slow.Poll(t.Context(), 100)
		b.ok("poll", err)
		return len(batch) > 0
	})
	b.line.hold()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	second := b.reader(other, "g")
	wg.Go(func() { consume(ctx, second, e.take) })
	b.until("the other member has handled everything", func() bool { return e.count() == 400 })
	b.line.release()
	if err := slow.Commit(t.Context()); !errors.Is(err, driver.ErrLeaseLost) {
		t.Fatalf("the late commit gave %v", err)
	}
	if slow.Owns(batch[0]) {
		t.Error("the member that was shut out owns its old partition")
	}
	wg.Go(func() { consume(ctx, slow, e.take) })
	b.until("the group has two members again", func() bool { return b.members(d, "g") == 2 })
	b.log.Append(story(40, 11, 20)...)
	b.until("the rest is handled", func() bool { return e.count() == 800 })
	e.check(t, 800)
}

// Members that come and go under load cost nothing: no message comes twice, none is lost, no user's order breaks.
func rebalanced(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	e := newEffects()
	var wg sync.WaitGroup
	start := func(r driver.Reader) context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		wg.Go(func() { defer close(done); consume(ctx, r, e.take) })
		return func() { cancel(); <-done }
	}
	const rounds, users = 60, 50
	first := b.reader(d, "g")
	stops := []context.CancelFunc{start(first)}
	for n := 1; n <= rounds; n++ {
		b.log.Append(story(users, n, n)...)
		b.until("the load flows", func() bool { return e.count() >= (n-3)*users })
		switch n {
		case 15, 25:
			stops = append(stops, start(b.reader(d, "g")))
		case 20:
			b.until("the second member is in", func() bool { return b.members(d, "g") == 2 })
		case 45:
			b.until("all members are in", func() bool { return b.members(d, "g") == 3 })
			stops[0]()
			b.ok("close", first.Close())
		}
	}
	b.until("everything is handled", func() bool { return e.count() == rounds*users })
	for _, stop := range stops {
		stop()
	}
	wg.Wait()
	e.check(t, rounds*users)
	if e.copies > 0 {
		t.Errorf("%d messages came twice", e.copies)
	}
}

// A batch in hand is finished before its partitions change hands: the newcomer waits for the commit, and gets none of it.
func finished(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	b.log.Append(story(40, 1, 5)...)
	b.until("everything is relayed", b.relayed)
	holder, e := b.reader(d, "g"), newEffects()
	var batch []driver.Message
	b.until("the holder has a batch", func() bool {
		var err error
		batch, err = holder.Poll(t.Context(), 500)
		b.ok("poll", err)
		return len(batch) > 0
	})
	newcomer := b.reader(d, "g")
	for range 12 { // longer than any heartbeat
		early, err := newcomer.Poll(t.Context(), 500)
		b.ok("poll", err)
		if len(early) > 0 {
			t.Fatalf("the newcomer got %s while a batch of the holder was in hand", early[0].ID)
		}
	}
	e.take(batch)
	b.ok("commit of the holder", holder.Commit(t.Context()))
	b.until("both have read everything", func() bool {
		for _, r := range []driver.Reader{holder, newcomer} {
			b.step(r, e.take)
		}
		return e.count() == 200
	})
	e.check(t, 200)
	if e.copies > 0 {
		t.Errorf("%d messages came twice", e.copies)
	}
}

// Lags are told by partition, and backlogs by source.
func lags(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	r := b.reader(d, "g")
	b.log.Append(story(30, 1, 4)...)
	b.until("everything is relayed", b.relayed)
	all, err := d.Lags(t.Context())
	b.ok("lags", err)
	total, users := int64(0), map[int]int64{}
	for _, m := range story(30, 1, 4) {
		users[d.Partition(b.topic, m.User)]++
	}
	for _, l := range all {
		total += l.Messages
		if l.Messages != users[l.Partition] || l.Group != "g" || l.Topic != b.topic || l.Lost != 0 {
			t.Errorf("lag %+v, wanted %d messages", l, users[l.Partition])
		}
	}
	if len(all) != 12 || total != 120 {
		t.Errorf("%d partitions with %d messages", len(all), total)
	}
	back, err := d.Backlogs(t.Context())
	b.ok("backlogs", err)
	if len(back) != 1 || back[0].Numbers != 0 {
		t.Errorf("backlogs %+v", back)
	}
	b.drainReader(r, 120)
	if n, err := r.Lag(t.Context()); n != 0 || err != nil {
		t.Errorf("lag %d, %v after everything", n, err)
	}
	if err := d.Forget(t.Context(), "g"); err == nil {
		t.Error("a group with a reader was forgotten")
	}
	b.ok("close", r.Close())
	b.ok("forget", d.Forget(t.Context(), "g"))
	var rows int
	b.ok("count", b.db.R.QueryRow(`SELECT count(*) FROM cursor WHERE consumer_group = 'g'`).Scan(&rows))
	if rows != 0 || b.members(d, "g") > 0 {
		t.Errorf("%d cursors left of a forgotten group", rows)
	}
}

func (b *bench) drainReader(r driver.Reader, n int) {
	b.t.Helper()
	got := 0
	b.until("all messages have come", func() bool {
		batch, err := r.Poll(b.t.Context(), 500)
		b.ok("poll", err)
		got += len(batch)
		b.ok("commit", r.Commit(b.t.Context()))
		return got >= n
	})
}
