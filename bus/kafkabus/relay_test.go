package kafkabus

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
	"penstock/internal/fault"
)

// slowCursors hold every call up while their line is held: together with the network, the whole process stands still.
type slowCursors struct {
	driver.Cursors
	line *line
}

func (c slowCursors) Write(ctx context.Context, m driver.Member, k []driver.Mark, term time.Duration) ([]string, error) {
	c.line.pass()
	return c.Cursors.Write(ctx, m, k, term)
}

// leader returns who holds the lease of the relay.
func (b *bench) leader() string {
	var owner string
	row := b.db.R.QueryRow(`SELECT owner FROM cursor WHERE consumer_group = ? AND topic = ?`, RelayGroup, b.topic)
	if row.Scan(&owner) != nil {
		return ""
	}
	return owner
}

// relayed says whether the relay's own position is at the head.
func (b *bench) relayed() bool {
	head, _ := b.log.Head(context.Background())
	at, err := b.cursors.Position(context.Background(), RelayGroup, b.topic, b.log.Name())
	return err == nil && at == head
}

// drain reads with one group until n different messages have come.
func (b *bench) drain(d *Driver, group string, n int) *effects {
	b.t.Helper()
	e := newEffects()
	r := b.reader(d, group)
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	consume(ctx, r, func(msgs []driver.Message) {
		e.take(msgs)
		if e.count() >= n {
			defer cancel()
		}
	})
	return e
}

// A relay that slept past its lease wakes up and finishes what it had begun: copies come, but every first copy is in order,
// and the late relay moves no position.
func deposed(t *testing.T, url string) {
	b := begin(t, url)
	good := b.cursors
	b.cursors = slowCursors{good, b.line}
	o := quick()
	o.Batch = 50
	first := b.driver(o)
	b.until("the first relay leads", func() bool { return b.leader() != "" })
	was := b.leader()
	b.log.Append(story(20, 1, 5)...)
	b.until("it relays", func() bool { at, _ := good.Position(t.Context(), RelayGroup, b.topic, b.log.Name()); return at > 0 })
	b.line.hold()
	b.log.Append(story(20, 6, 30)...)
	b.cursors = good
	second := b.driverOver(b.open(nil), o)
	b.until("the second relay leads", func() bool { now := b.leader(); return now != "" && now != was })
	b.until("it has relayed everything", b.relayed)
	b.line.release()
	b.log.Append(story(20, 31, 40)...)
	b.until("everything is relayed", b.relayed)
	b.drain(second, "g", 800).check(t, 800)
	if b.leader() == was {
		t.Error("the deposed relay leads")
	}
	_ = first
}

// A relay that dies after its messages are acknowledged and before its position is written sends them again, in order.
func unwritten(t *testing.T, url string) {
	b := begin(t, url)
	o := quick()
	o.Fault, o.Batch = &fault.Points{}, 40
	o.Fault.Set(PointAcked, func(hit int) error {
		if hit%3 == 1 && hit < 10 {
			return errors.New("killed")
		}
		return nil
	})
	b.log.Append(story(10, 1, 30)...)
	d := b.driver(o)
	b.until("everything is relayed", b.relayed)
	e := b.drain(d, "g", 300)
	e.check(t, 300)
	lag, err := d.lags(t.Context(), "g", b.topic)
	b.ok("lags", err)
	ends, err := d.ends(t.Context(), b.topic)
	b.ok("ends", err)
	total := int64(0)
	for p := range lag {
		total += ends[p]
	}
	if total < 300+3*40 {
		t.Errorf("%d records for 300 messages sent with three repeated batches of 40", total)
	}
}

// A message that fits no record becomes a dead letter in its place, with the beginning of its payload, and nothing waits behind
// it.
func tooLarge(t *testing.T, url string) {
	b := begin(t, url)
	big := message("ann", 3)
	big.Payload = bytes.Repeat([]byte("x"), 5<<20)
	big.Headers = map[string]string{"note": strings.Repeat("y", 1<<20)}
	b.log.Append(message("ann", 1), message("ann", 2), big, message("ann", 4))
	r := b.reader(b.driver(quick()), "g")
	var got []driver.Message
	b.until("all are delivered", func() bool {
		batch, err := r.Poll(t.Context(), 500)
		b.ok("poll", err)
		b.ok("commit", r.Commit(t.Context()))
		got = append(got, batch...)
		return len(got) >= 4
	})
	cut := got[2]
	if cut.ID != big.ID || cut.User != "ann" || cut.Key != big.Key || len(cut.Payload) != keptPayload ||
		!strings.HasPrefix(cut.Headers[driver.HeaderMalformed], "the whole message has 62") {
		t.Errorf("the large message came as %s of %s with %d bytes, %.200v", cut.ID, cut.User, len(cut.Payload), cut.Headers)
	}
	if got[3].ID != "ann-4" || got[3].Headers[driver.HeaderMalformed] != "" {
		t.Errorf("behind it came %s, %v", got[3].ID, got[3].Headers)
	}
}

// witness is a source that checks every Sent against what the groups have handled.
type witness struct {
	Source
	t      *testing.T
	mu     sync.Mutex
	groups map[string]map[string]bool
	msgs   []driver.Message
	told   uint64
}

func (w *witness) handled(group string) func([]driver.Message) {
	return func(msgs []driver.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, m := range msgs {
			w.groups[group][m.ID] = true
		}
	}
}

func (w *witness) Sent(ctx context.Context, upto uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if upto < w.told {
		w.t.Errorf("Sent went back from %d to %d", w.told, upto)
	}
	w.told = upto
	for g, seen := range w.groups {
		for i, m := range w.msgs {
			if uint64(i+1) <= upto && !seen[m.ID] {
				w.t.Errorf("Sent says %d, and group %s has not handled %s (%d)", upto, g, m.ID, i+1)
				return nil
			}
		}
	}
	return w.Source.Sent(ctx, upto)
}

func (w *witness) sent() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// Sent is never above what every group has handled, whatever forged messages say and whoever is the relay; in the end it is
// the head.
func sentIsSound(t *testing.T, url string) {
	b := begin(t, url)
	msgs := story(30, 1, 40)
	w := &witness{Source: b.log, t: t, msgs: msgs, groups: map[string]map[string]bool{"fast": {}, "slow": {}}}
	slow, end := b.attend(w)
	b.forge()
	for n := 0; n < len(msgs); n += 60 {
		b.log.Append(msgs[n : n+60]...)
		b.step(slow, w.handled("slow"))
		if n == 600 {
			end()
			slow, end = b.attend(w)
		}
	}
	defer func() { end() }()
	if got := w.sent(); got == uint64(len(msgs)) {
		t.Error("everything is said to be sent before the slow group has read it")
	}
	b.until("everything is sent", func() bool {
		b.step(slow, w.handled("slow"))
		return w.sent() == uint64(len(msgs))
	})
}

// attend starts a process that relays the source of a witness, with a reader that handles all at once and one for the test.
func (b *bench) attend(w *witness) (slow driver.Reader, end func()) {
	b.t.Helper()
	o := quick()
	o.Batch = 100
	d, err := New(b.t.Context(), b.open(nil), b.cursors, map[string][]Source{b.topic: {w}}, o)
	b.ok("new driver", err)
	fast, slow := b.reader(d, "fast"), b.reader(d, "slow")
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); consume(ctx, fast, w.handled("fast")) }()
	return slow, func() {
		cancel()
		<-done
		b.ok("close", errors.Join(fast.Close(), slow.Close(), d.Close()))
	}
}

// step handles at most one small batch.
func (b *bench) step(r driver.Reader, handle func([]driver.Message)) {
	batch, err := r.Poll(b.t.Context(), 50)
	b.ok("poll", err)
	handle(batch)
	b.ok("commit", r.Commit(b.t.Context()))
}

// forge writes a record to each partition that claims to be far ahead in the outbox.
func (b *bench) forge() {
	for p := range int32(12) {
		b.produce(&kgo.Record{Partition: p, Value: []byte("{}"), Headers: []kgo.RecordHeader{
			{Key: ceID, Value: []byte("forged-" + strconv.Itoa(int(p)))}, {Key: ceSequence, Value: []byte("18446744073709551615")},
		}})
	}
}
