package kafkabus

import (
	"context"
	"sync"
	"testing"
	"time"

	"penstock/internal/engines"
)

// On three nodes the loss of one broker stops nothing for long, and the loss of all only delays: the outbox grows meanwhile.
// Nothing is lost and every user's order is kept, for two consumers and through every restart.
func TestThreeNodes(t *testing.T) {
	c := engines.Kafka(t, 3, engines.KafkaOptions{})
	b := begin(t, c.URL)
	o := quick()
	o.Timeout, o.Batch, o.Session = 3*time.Second, 200, 4*time.Second
	d := b.driver(o)
	e := newEffects()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 2 {
		r := b.reader(d, "g")
		wg.Go(func() { consume(ctx, r, e.take) })
	}
	const users = 40
	round := 0
	load := func(rounds int) {
		for range rounds {
			round++
			b.log.Append(story(users, round, round)...)
			b.until("the load is not far behind", func() bool { return e.count() > (round-40)*users })
		}
	}
	handled := func() bool { return e.count() == round*users }

	load(60)
	c.Nodes[0].Kill(t)
	load(60)
	b.until("all is handled with one broker gone", handled)
	c.Nodes[0].Start(t)
	load(20)

	c.Kill(t)
	before := e.count()
	b.log.Append(story(users, round+1, round+30)...)
	round += 30
	b.until("the relay has failed and waits", func() bool { return b.leader() == "" })
	if backlog, err := d.backlog(t.Context(), b.topic, b.log); err != nil || backlog == 0 {
		t.Errorf("backlog %d, %v with all brokers gone", backlog, err)
	}
	if got := e.count(); got > before+30*users {
		t.Errorf("%d handled with all brokers gone", got)
	}
	c.Start(t)
	load(20)
	b.until("all is handled when the brokers are back", handled)
	cancel()
	wg.Wait()
	e.check(t, round*users)
	b.until("the outbox is told", func() bool { return b.log.Acknowledged() == uint64(round*users) })
	t.Logf("%d messages, %d copies", round*users, e.copies)
}
