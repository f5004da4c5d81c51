package kafkabus

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/sqlstore"
)

// run starts a bus with one handler, and stops it with the test.
func (b *bench) run(d *Driver, h bus.Handler) *bus.Bus {
	b.t.Helper()
	o := bus.Options{Backoff: bus.Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond}}
	all, err := bus.New(d, sqlstore.New(b.db), o)
	b.ok("new bus", err)
	b.ok("consume", all.Consume("g", b.topic, h))
	b.ok("start", all.Start(b.t.Context()))
	b.t.Cleanup(func() { b.ok("stop", all.Stop(context.Background())) })
	return all
}

func (b *bench) drained(all *bus.Bus) bool {
	flight, err := all.InFlight(b.t.Context())
	left := int64(0)
	for _, n := range flight {
		left += n
	}
	return err == nil && left == 0
}

func (b *bench) letters(all *bus.Bus) map[string]driver.DeadLetter {
	b.t.Helper()
	list, err := all.DeadLetters().List(b.t.Context(), driver.Filter{All: true}, 0, 1000)
	b.ok("list", err)
	letters := map[string]driver.DeadLetter{}
	for _, l := range list {
		letters[l.Message.ID] = l
	}
	return letters
}

// Over Kafka as over the outbox: a failure holds back its user only, retries keep the user's order, and the third is the last.
func wholeBus(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	var mu sync.Mutex
	tries, done := map[string]int{}, map[string][]string{}
	all := b.run(d, func(_ context.Context, batch []driver.Message) []error {
		mu.Lock()
		defer mu.Unlock()
		out := make([]error, len(batch))
		for i, m := range batch {
			switch tries[m.ID]++; {
			case m.ID == "user1-2" && tries[m.ID] <= 2, m.ID == "user2-3":
				out[i] = errors.New("boom")
			default:
				done[m.User] = append(done[m.User], m.ID)
			}
		}
		return out
	})
	b.log.Append(story(5, 1, 6)...)
	b.until("the bus is drained", func() bool { return b.drained(all) })
	mu.Lock()
	defer mu.Unlock()
	for u := range 5 {
		user, want := "user"+strconv.Itoa(u), []string(nil)
		for n := 1; n <= 6; n++ {
			if id := user + "-" + strconv.Itoa(n); id != "user2-3" {
				want = append(want, id)
			}
		}
		if d := cmp.Diff(want, done[user]); d != "" {
			t.Errorf("%s (-want +got):\n%s", user, d)
		}
	}
	letters := b.letters(all)
	if l, ok := letters["user2-3"]; !ok || len(letters) != 1 || tries["user2-3"] != 4 || l.Message.Headers[bus.HeaderTopic] != b.topic {
		t.Errorf("letters %v after %d tries", letters, tries["user2-3"])
	}
}

// good returns the record of a message as the relay makes it, with changes.
func (b *bench) good(d *Driver, m driver.Message, change func(*kgo.Record)) *kgo.Record {
	rec := &kgo.Record{Partition: int32(d.Partition(b.topic, m.User))}
	encode(rec, &m, "test")
	if change != nil {
		change(rec)
	}
	return rec
}

func set(key, value string) func(*kgo.Record) {
	return func(r *kgo.Record) {
		for i := range r.Headers {
			if r.Headers[i].Key == key {
				r.Headers[i].Value = []byte(value)
				return
			}
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
}

// Whatever is in the topic reaches the bus and ends as a dead letter; the partition goes on, and the good messages behind it
// are handled.
func poison(t *testing.T, url string) {
	b := begin(t, url)
	d := b.driver(quick())
	limit := kadm.AlterConfig{Name: "max.message.bytes", Value: kadm.StringPtr("16777216")}
	altered, err := b.cluster.Admin().AlterTopicConfigs(t.Context(), []kadm.AlterConfig{limit}, b.cluster.Name(b.topic))
	b.ok("let the topic take large messages", err)
	b.ok("let the topic take large messages", altered[0].Err)
	huge := strings.Repeat("x", 5<<20)
	handlers := []*kgo.Record{ // what looks right and is not
		b.good(d, message("ann", 1), func(r *kgo.Record) { r.Value = []byte{} }),
		b.good(d, message("bob", 1), func(r *kgo.Record) { r.Value = []byte("17") }),
		b.good(d, message("cid", 1), func(r *kgo.Record) { r.Value = []byte{0xff, 0x00, '{'} }),
	}
	bad := []*kgo.Record{
		{Partition: 3},
		{Partition: 4, Value: []byte("hello")},
		b.good(d, message("ann", 2), func(r *kgo.Record) { r.Value = nil }),
		b.good(d, message("ann", 3), func(r *kgo.Record) { r.Value = []byte(huge) }),
		b.good(d, message("ann", 4), func(r *kgo.Record) { r.Partition = (r.Partition + 1) % 12 }),
		b.good(d, message("ann", 5), set(ceID, "")),
		b.good(d, message("ann", 6), set(ceID, strings.Repeat("i", 300))),
		b.good(d, message("ann", 7), set(ceTime, "yesterday")),
		b.good(d, message("ann", 8), set(ceSpecVersion, "9")),
		b.good(d, message("ann", 9), set("trace", "\xff\xfe")),
		b.good(d, message("ann", 10), set("trace", strings.Repeat("t", 1<<20))),
		b.good(d, message("ann", 11), func(r *kgo.Record) { r.Headers = make([]kgo.RecordHeader, 5000) }),
		b.good(d, message("ann", 12), func(r *kgo.Record) { r.Key = []byte{0xff} }),
		b.good(d, message("ann", 13), set(ceType, "")),
	}
	b.produce(handlers...)
	b.produce(bad...)
	var behind []driver.Message
	for u := range 100 {
		behind = append(behind, message("user"+strconv.Itoa(u), 1))
	}
	b.log.Append(append(behind, message("ann", 14))...)
	handled := newEffects()
	all := b.run(d, func(_ context.Context, batch []driver.Message) []error {
		out := make([]error, len(batch))
		for i, m := range batch {
			var body struct{ ID string }
			if err := json.Unmarshal(m.Payload, &body); err != nil || body.ID != m.ID {
				out[i] = bus.ErrPoison
				continue
			}
			handled.take([]driver.Message{m})
		}
		return out
	})
	b.until("the bus is drained", func() bool { return b.drained(all) && handled.count() == 101 })
	letters := b.letters(all)
	if len(letters) != len(bad)+len(handlers) {
		t.Errorf("%d dead letters of %d", len(letters), len(bad)+len(handlers))
	}
	malformed := 0
	for _, l := range letters {
		if why := l.Message.Headers[driver.HeaderMalformed]; why != "" {
			malformed++
			if l.Message.User != "" || !strings.HasPrefix(l.Message.ID, "malformed-") || len(l.Message.Payload) > maxPayload {
				t.Errorf("%s of user %q with %d bytes: %s", l.Message.ID, l.Message.User, len(l.Message.Payload), why)
			}
		}
	}
	if malformed != len(bad) {
		t.Errorf("%d malformed of %d", malformed, len(bad))
	}
}

// A topic that has another number of partitions is refused, with what to do.
func wrongPartitions(t *testing.T, url string) {
	b := begin(t, url)
	o := quick()
	o.Partitions = 5
	b.driver(o)
	_, err := New(t.Context(), b.cluster, b.cursors, map[string][]Source{b.topic: {b.log}}, quick())
	if err == nil || !strings.Contains(err.Error(), "topic "+b.topic+" has 5 partitions, wanted 12") || !strings.Contains(err.Error(), "--delete") {
		t.Errorf("a topic of 5 partitions gave %v", err)
	}
	twice := map[string][]Source{"a": {b.log}, "b": {b.log}}
	if _, err := New(t.Context(), b.cluster, b.cursors, twice, quick()); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("a source of two topics gave %v", err)
	}
}
