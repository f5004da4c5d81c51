package kafkabus

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
	"penstock/internal/engines"
)

// BenchmarkRelay sends the same records through the relay (outbox read, encoded, acknowledged, position durable) and by a bare
// producer that is handed them ready-made, in turns, and reports messages per second and the median of the ratios. One turn
// of 100,000 messages is one iteration: go test -run xxx -bench Relay -benchtime 5x ./bus/kafkabus
func BenchmarkRelay(b *testing.B) {
	url := engines.Kafka(b, 1, engines.KafkaOptions{}).URL
	const n = 100_000
	msgs := make([]driver.Message, n)
	for i := range msgs {
		msgs[i] = purchase(i)
	}
	var relay, raw, ratios []float64
	for range b.N {
		with, without := throughRelay(b, url, msgs), bare(b, url, msgs)
		relay, raw = append(relay, n/with.Seconds()), append(raw, n/without.Seconds())
		ratios = append(ratios, without.Seconds()/with.Seconds())
	}
	b.ReportMetric(middle(relay), "relay/s")
	b.ReportMetric(middle(raw), "raw/s")
	b.ReportMetric(middle(ratios), "ratio")
}

func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// purchase is of the size that a sold unit has.
func purchase(i int) driver.Message {
	m := message("user-"+strconv.Itoa(i*7919%20011), i)
	m.Payload, _ = json.Marshal(map[string]any{
		"order": strconv.Itoa(7_000_000_000 + i), "sale": "eleven-eleven", "user": m.User, "lines": []map[string]any{{"sku": "phone-256", "quantity": 1, "price": 499900}},
		"currency": "CNY", "at": m.At, "payBefore": m.At.Add(15 * time.Minute),
	})
	m.Headers = map[string]string{
		"source": "penstock/stock", "version": "1", "timestamp": "1794427200000",
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	return m
}

func throughRelay(tb testing.TB, url string, msgs []driver.Message) time.Duration {
	b := begin(tb, url)
	d := b.driver(Options{})
	b.until("the relay leads", func() bool { return b.leader() != "" })
	began := time.Now()
	b.log.Append(msgs...)
	b.until("everything is relayed", b.relayed)
	took := time.Since(began)
	b.ok("close", d.Close())
	return took
}

func bare(tb testing.TB, url string, msgs []driver.Message) time.Duration {
	b := begin(tb, url)
	d := b.driver(Options{})
	b.ok("close", d.Close())
	records := make([]kgo.Record, len(msgs))
	for i := range msgs {
		encode(&records[i], &msgs[i], "outbox")
		records[i].Topic, records[i].Partition = b.cluster.Name(b.topic), int32(d.Partition(b.topic, msgs[i].User))
	}
	client, err := b.cluster.Client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()))
	b.ok("client", err)
	defer client.Close()
	b.ok("ping", client.Ping(context.Background()))
	began := time.Now()
	for i := range records {
		client.Produce(context.Background(), &records[i], func(_ *kgo.Record, err error) {
			if err != nil {
				tb.Error(err)
			}
		})
	}
	b.ok("flush", client.Flush(context.Background()))
	return time.Since(began)
}
