package kafkabus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
	"penstock/bus/sqlstore"
	"penstock/internal/engines"
	"penstock/internal/fault"
)

// bury writes dead letters n of them as the bus does.
func (b *bench) bury(store *sqlstore.Store, from, n int) {
	b.t.Helper()
	for i := from; i < from+n; i++ {
		m := message("ann", i)
		m.Topic, m.Partition, m.Offset = b.topic, 3, uint64(100+i)
		m.Headers = map[string]string{"dead-letter-reason": "poison", "original-topic": b.topic, "failed-at": "now", "traceId": "t"}
		b.ok("bury", store.Settle(b.t.Context(), "orders", []driver.Outcome{{Parked: driver.Parked{Message: m}, Dead: &driver.DeadLetter{
			Message: m, Reason: "poison: boom", Attempts: 1, FailedAt: m.At.Add(time.Second),
		}}}))
	}
}

// copies reads the topic of dead letters from its beginning until it has n different letters, or the time is over.
func (b *bench) copies(n int) (byLetter map[string]*kgo.Record, all int) {
	b.t.Helper()
	client, err := b.cluster.Client(kgo.ConsumeTopics(b.cluster.Name(b.topic+DeadLetterSuffix)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	b.ok("client", err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	byLetter = map[string]*kgo.Record{}
	for len(byLetter) < n && ctx.Err() == nil {
		for _, r := range client.PollFetches(ctx).Records() {
			byLetter[header(r, headerLetter)], all = r, all+1
		}
	}
	return byLetter, all
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Every dead letter is copied to <topic>.dlq with its origin, in this bus's words and in those of Spring; one whose copy was not
// marked is copied again, none is lost.
func lettersAreCopied(t *testing.T, url string) {
	b := begin(t, url)
	store := sqlstore.New(b.db)
	b.bury(store, 0, lettersPage+50)
	o := quick()
	o.Letters, o.Fault = store, &fault.Points{}
	o.Fault.Set(PointLettersAcked, func(hit int) error {
		if hit == 1 {
			return errors.New("killed before it was marked")
		}
		return nil
	})
	d := b.driver(o)
	b.until("all are copied", func() bool { n, err := store.CountUntold(t.Context()); return err == nil && n == 0 })
	byLetter, all := b.copies(lettersPage + 50)
	if len(byLetter) != lettersPage+50 || all < len(byLetter) {
		t.Fatalf("%d letters in %d copies", len(byLetter), all)
	}
	r := byLetter["7"] // the seventh has number 6
	want := map[string]string{
		"dead-letter-reason": "poison", "original-topic": b.topic, "traceId": "t", headerGroup: "orders", ceID: "ann-6",
		"kafka_dlt-original-topic":          b.cluster.Name(b.topic),
		"kafka_dlt-original-partition":      string(binary.BigEndian.AppendUint32(nil, 3)),
		"kafka_dlt-original-offset":         string(binary.BigEndian.AppendUint64(nil, 106)),
		"kafka_dlt-original-timestamp":      string(binary.BigEndian.AppendUint64(nil, uint64(message("ann", 6).At.UnixMilli()))),
		"kafka_dlt-original-timestamp-type": "CreateTime", "kafka_dlt-original-consumer-group": d.group("orders", b.topic),
		"kafka_dlt-exception-fqcn": "penstock.bus.poison", "kafka_dlt-exception-message": "poison: boom",
	}
	for k, v := range want {
		if got := header(r, k); got != v {
			t.Errorf("header %s is %q, want %q", k, got, v)
		}
	}
	if string(r.Key) != "order-ann-6" || string(r.Value) != `{"id":"ann-6"}` || int(r.Partition) != d.Partition(b.topic, "ann") {
		t.Errorf("record %s = %s in partition %d", r.Key, r.Value, r.Partition)
	}
}

// Letters that are written while the cluster is away stay in the store and are copied when it is back.
func lettersOutlastAnOutage(t *testing.T, c *engines.KafkaCluster) {
	b := begin(t, c.URL)
	store := sqlstore.New(b.db)
	o := quick()
	o.Letters, o.Timeout = store, 2*time.Second
	b.driver(o)
	c.Nodes[0].Kill(t)
	b.bury(store, 0, 5)
	if n, err := store.CountUntold(t.Context()); err != nil || n != 5 {
		t.Fatalf("%d letters wait while the cluster is away, %v", n, err)
	}
	c.Nodes[0].Start(t)
	b.until("all are copied", func() bool { n, err := store.CountUntold(t.Context()); return err == nil && n == 0 })
	if byLetter, _ := b.copies(5); len(byLetter) != 5 {
		t.Errorf("%d letters of 5 in the topic", len(byLetter))
	}
}

// What the relay sends lies compressed by gzip in the log of the broker.
func compressed(t *testing.T, url string) {
	b := begin(t, url)
	for n := range 200 {
		m := message("ann", n+1)
		m.Payload = []byte(fmt.Sprintf(`{"n":%d,"text":%q}`, n, strings.Repeat("penstock ", 100)))
		b.log.Append(m)
	}
	d := b.driver(quick())
	r := b.reader(d, "g")
	seen := 0
	b.until("all are delivered", func() bool {
		_, err := r.Poll(t.Context(), 500)
		b.ok("poll", err)
		for _, rec := range r.(*reader).batch {
			if seen++; rec.Attrs.CompressionType() != 1 { // 1 is gzip
				t.Fatalf("record of %s has compression %d", rec.Key, rec.Attrs.CompressionType())
			}
		}
		b.ok("commit", r.Commit(t.Context()))
		return seen == 200
	})
}
