package kafkabus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
	"penstock/engine/kafka"
)

// DeadLetterSuffix ends the name of the topic that dead letters of a topic are copied to.
const DeadLetterSuffix = ".dlq"

// Under these names the position of the copying of dead letters is among the cursors. Only its lease matters.
const (
	lettersGroup  = "kafka-dead-letters"
	lettersSource = "dead-letters"
)

// lettersPage is how many letters are copied at a time.
const lettersPage = 200

// letters copies dead letters from the store, which is the truth, to <topic>.dlq: each at least once, also after the cluster
// was away. One process does it at a time, by a lease; two that both think so make copies only.
type letters struct {
	d      *Driver
	store  driver.Copies
	member driver.Member
	log    *slog.Logger
	lease  driver.Lease
}

func newLetters(d *Driver) *letters {
	return &letters{
		d: d, store: d.opt.Letters, log: d.opt.Logger.With("copying", "dead letters"),
		member: driver.Member{Group: lettersGroup, Topic: lettersSource, Owner: d.owner()},
	}
}

// run copies while it holds the lease, and stands by otherwise, until ctx ends.
func (l *letters) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		held, err := l.take(ctx)
		if err == nil && held {
			err = l.lead(ctx)
			l.write(context.WithoutCancel(ctx), 0)
		}
		wait := min(l.d.opt.Lease/4, standBy)
		if err != nil && ctx.Err() == nil {
			failures++
			l.log.Warn("dead letters not copied, they stay in the store; trying again", "error", err, "failures", failures)
			wait = min(pauseFirst<<min(failures-1, 10), pauseMost)
		} else {
			failures = 0
		}
		pause(ctx, l.d.opt.Clock, wait)
	}
}

func (l *letters) take(ctx context.Context) (held bool, err error) {
	if err := l.d.cursors.Enrol(ctx, lettersGroup, lettersSource, []string{lettersSource}); err != nil {
		return false, err
	}
	got, err := l.d.cursors.Take(ctx, l.member, []string{lettersSource}, l.d.opt.Lease)
	l.lease, held = got[lettersSource]
	return held, err
}

// write renews the lease, or gives it up with a term of 0.
func (l *letters) write(ctx context.Context, term time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	_, err := l.d.cursors.Write(ctx, l.member, []driver.Mark{{Source: lettersSource, Epoch: l.lease.Epoch}}, term)
	return err
}

// lead copies until something fails or ctx ends.
func (l *letters) lead(ctx context.Context) error {
	client, err := l.d.cluster.Client(
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(maxRecord),
		kgo.ProduceRequestTimeout(l.d.opt.Timeout), kgo.RecordDeliveryTimeout(l.d.opt.Timeout),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		some, err := l.store.Untold(ctx, lettersPage)
		if err != nil {
			return fmt.Errorf("read the letters: %w", err)
		}
		if err := l.copy(ctx, client, some); err != nil {
			return err
		}
		if err := l.write(ctx, l.d.opt.Lease); err != nil {
			return err
		}
		if len(some) < lettersPage {
			pause(ctx, l.d.opt.Clock, min(l.d.opt.Sent, l.d.opt.Lease/4))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// copy sends letters and marks them once all are acknowledged.
func (l *letters) copy(ctx context.Context, client *kgo.Client, some []driver.DeadLetter) error {
	if len(some) == 0 {
		return nil
	}
	ids := make([]int64, len(some))
	var records []*kgo.Record
	for i := range some {
		ids[i] = some[i].ID
		if _, ours := l.d.topics[some[i].Message.Topic]; !ours {
			l.log.Warn("dead letter of a topic that is not on this bus, not copied", "letter", some[i].ID, "topic", some[i].Message.Topic)
			continue
		}
		records = append(records, l.d.letterRecord(&some[i]))
	}
	within, cancel := context.WithTimeout(ctx, 2*l.d.opt.Timeout)
	defer cancel()
	if err := client.ProduceSync(within, records...).FirstErr(); err != nil {
		return fmt.Errorf("send the letters: %w", err)
	}
	if err := l.d.opt.Fault.Hit(PointLettersAcked); err != nil {
		return err
	}
	if err := l.store.Told(ctx, ids); err != nil {
		return fmt.Errorf("mark the letters as copied: %w", err)
	}
	return nil
}

// ensureLetters makes the topics of dead letters.
func (d *Driver) ensureLetters(ctx context.Context) error {
	for topic := range d.topics {
		warnings, err := d.cluster.Ensure(ctx, kafka.Topic{Name: topic + DeadLetterSuffix, Partitions: d.opt.Partitions, Retention: d.opt.Retention})
		if err != nil {
			return errors.Join(fmt.Errorf("the topic of dead letters of %s", topic), err)
		}
		for _, w := range warnings {
			d.opt.Logger.Warn(w)
		}
	}
	return nil
}

// Headers of a copied letter beside those that it has in the store. Those that begin with kafka_dlt- are what Spring for Apache
// Kafka writes and tools for it read: numbers are big-endian binary, as there.
const (
	headerLetter = "dead-letter-id"
	headerGroup  = "dead-letter-group"
	dlt          = "kafka_dlt-"
)

// letterRecord makes the record of a letter, in the partition of its user.
func (d *Driver) letterRecord(l *driver.DeadLetter) *kgo.Record {
	m := l.Message
	m.Headers = maps.Clone(m.Headers)
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	// What the message itself brought under these names would be read first by some tools.
	maps.DeleteFunc(m.Headers, func(k, _ string) bool { return strings.HasPrefix(k, dlt) || k == headerLetter || k == headerGroup })
	source := m.Headers["source"]
	if source == "" {
		source = m.Topic
	}
	rec := &kgo.Record{}
	d.record(rec, m.Topic, &m, source)
	rec.Topic = d.cluster.Name(m.Topic + DeadLetterSuffix)
	class := m.Headers["dead-letter-reason"]
	if class == "" {
		class = "unknown"
	}
	rec.Headers = append(rec.Headers, []kgo.RecordHeader{
		{Key: headerLetter, Value: strconv.AppendInt(nil, l.ID, 10)},
		{Key: headerGroup, Value: []byte(l.Group)},
		{Key: dlt + "original-topic", Value: []byte(d.cluster.Name(m.Topic))},
		{Key: dlt + "original-partition", Value: binary.BigEndian.AppendUint32(nil, uint32(m.Partition))},
		{Key: dlt + "original-offset", Value: binary.BigEndian.AppendUint64(nil, m.Offset)},
		{Key: dlt + "original-timestamp", Value: binary.BigEndian.AppendUint64(nil, uint64(m.At.UnixMilli()))},
		{Key: dlt + "original-timestamp-type", Value: []byte("CreateTime")},
		{Key: dlt + "original-consumer-group", Value: []byte(d.group(l.Group, m.Topic))},
		{Key: dlt + "exception-fqcn", Value: []byte("penstock.bus." + class)},
		{Key: dlt + "exception-message", Value: []byte(l.Reason)},
		{Key: dlt + "exception-stacktrace", Value: []byte(l.Reason)},
	}...)
	return rec
}
