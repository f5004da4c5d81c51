package kafkabus

import (
	"context"
	"sync"
	"testing"
	"time"

	"penstock/internal/engines"
)

// flow is an outbox that fills round by round, relayed and handled by two consumers.
type flow struct {
	*bench
	d      *Driver
	e      *effects
	users  int
	rounds int
	end    func()
}

func (b *bench) flow(o Options) *flow {
	b.t.Helper()
	f := &flow{bench: b, d: b.driver(o), e: newEffects(), users: 40}
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	for range 2 {
		r := b.reader(f.d, "g")
		wg.Go(func() { consume(ctx, r, f.e.take) })
	}
	f.end = func() { cancel(); wg.Wait() }
	return f
}

// load appends rounds, not far ahead of the consumers.
func (f *flow) load(rounds int) {
	f.t.Helper()
	for range rounds {
		f.rounds++
		f.log.Append(story(f.users, f.rounds, f.rounds)...)
		f.until("the load is not far behind", func() bool { return f.e.count() > (f.rounds-20)*f.users })
	}
}

func (f *flow) handled() bool { return f.e.count() == f.rounds*f.users }

// settle ends the flow: everything was handled once by id, in order, and the outbox is told so.
func (f *flow) settle() {
	f.t.Helper()
	f.until("all is handled", f.handled)
	f.until("the outbox is told", func() bool { return f.log.Acknowledged() == uint64(f.rounds*f.users) })
	f.end()
	f.e.check(f.t, f.rounds*f.users)
	f.t.Logf("%d messages, %d copies", f.rounds*f.users, f.e.copies)
}

// outageOptions let the relay fail within an outage of a few seconds.
func outageOptions() Options {
	o := quick()
	o.Timeout, o.Batch, o.Session = 2*time.Second, 200, 4*time.Second
	return o
}

// On three nodes the loss of one broker stops nothing for long: nothing is lost, every user's order is kept.
func TestThreeNodes(t *testing.T) {
	c := engines.Kafka(t, 3, engines.KafkaOptions{})
	b := begin(t, c.URL)
	f := b.flow(outageOptions())
	defer func() { f.end() }()
	f.load(60)
	c.Nodes[0].Kill(t)
	f.load(60)
	f.settle()
}

// While no broker is there the outbox grows; when it is back the relay catches up, in order, and nothing is lost.
func outage(t *testing.T, c *engines.KafkaCluster) {
	b := begin(t, c.URL)
	f := b.flow(outageOptions())
	defer func() { f.end() }()
	f.load(40)
	c.Kill(t)
	before := f.e.count()
	f.log.Append(story(f.users, f.rounds+1, f.rounds+30)...)
	f.rounds += 30
	b.until("the relay has failed and waits", func() bool { return b.leader() == "" })
	if backlog, err := f.d.backlog(t.Context(), b.topic, b.log); err != nil || backlog == 0 {
		t.Errorf("backlog %d, %v without a broker", backlog, err)
	}
	if got := f.e.count(); got > before+40*f.users {
		t.Errorf("%d handled without a broker, %d before", got, before)
	}
	c.Start(t)
	f.load(20)
	f.settle()
}
