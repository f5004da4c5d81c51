package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
)

// maxRecord is the largest record that the relay sends, uncompressed: what a broker takes unless it is set otherwise.
const maxRecord = 1_000_000

// pump reads one source and sends it, one batch at a time. It ends at the first failure, and its client with it: the next pump
// begins with the first message that is not acknowledged.
type pump struct {
	r      *relay
	client *kgo.Client
	ends   []int64 // per partition: behind the last record acknowledged
	read   uint64  // messages are read up to here
	sent   uint64  // and acknowledged up to here
}

func newPump(r *relay, ends []int64) (*pump, error) {
	o := r.d.opt
	client, err := r.d.cluster.Client(
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent producing is the library's default
		kgo.StopProducerOnDataLossDetected(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()),
		kgo.ProducerBatchMaxBytes(maxRecord),
		kgo.ProduceRequestTimeout(o.Timeout), kgo.RecordDeliveryTimeout(o.Timeout),
		// A batch lies in the client whole before any of it is sent. So a failure fails the rest of its partition too, and no
		// later message of a user is sent after an earlier one has failed.
		kgo.ManualFlushing(), kgo.MaxBufferedRecords(o.Batch+1),
	)
	if err != nil {
		return nil, err
	}
	return &pump{
		r: r, client: client, ends: slices.Clone(ends), read: r.lease.Position, sent: r.lease.Position,
	}, nil
}

// load is a batch ready to be sent.
type load struct {
	msgs    []driver.Message
	records []kgo.Record
	upto    uint64 // the position behind it
}

// run sends until something fails. The next batch is made ready while one is on its way.
func (p *pump) run(ctx context.Context) error {
	now, err := p.next(ctx)
	for err == nil {
		if len(now.msgs) == 0 {
			if err = p.rest(ctx); err == nil {
				now, err = p.next(ctx)
			}
			continue
		}
		var following load
		var readErr error
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			following, readErr = p.next(ctx)
		}()
		err = p.send(ctx, now)
		<-reading
		if now = following; err == nil {
			err = readErr
		}
	}
	return err
}

// next reads the next messages; none when everything was read.
func (p *pump) next(ctx context.Context) (load, error) {
	for {
		msgs, scanned, err := p.r.src.Read(ctx, p.read, p.r.d.opt.Batch)
		if err != nil {
			return load{}, fmt.Errorf("read the outbox after %d: %w", p.read, err)
		}
		last := p.read
		for i := range msgs {
			if msgs[i].Offset <= last {
				return load{}, fmt.Errorf("offset %d after %d: the outbox is out of order", msgs[i].Offset, last)
			}
			last = msgs[i].Offset
		}
		if scanned < last || len(msgs) > p.r.d.opt.Batch {
			return load{}, fmt.Errorf("the outbox gave %d messages up to %d and says it looked up to %d", len(msgs), last, scanned)
		}
		moved := scanned > p.read
		p.read = scanned
		if len(msgs) > 0 || !moved {
			return load{msgs: msgs, records: p.records(msgs), upto: scanned}, nil
		}
	}
}

// rest writes the position behind entries that carry no message and waits for news.
func (p *pump) rest(ctx context.Context) error {
	if p.read > p.sent {
		if err := p.r.advance(ctx, p.read, p.ends); err != nil {
			return err
		}
		p.sent = p.read
	}
	t := p.r.d.opt.Clock.NewTimer(p.r.d.opt.Quiet)
	defer t.Stop()
	changed := p.r.src.Changed()
	select {
	case <-changed:
	case <-t.C():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// send sends a batch, waits for its acknowledgements and writes the position: that of the whole batch, or that before the
// first message that is not acknowledged.
func (p *pump) send(ctx context.Context, l load) error {
	records := l.records
	s := sending{first: len(records), ends: slices.Clone(p.ends)}
	for i := range records {
		p.client.Produce(ctx, &records[i], func(rec *kgo.Record, err error) { s.done(i, rec, err) })
	}
	// What may have been written is not failed by the client while it does not know. Another process may reach the brokers.
	within, cancel := context.WithTimeout(ctx, 2*p.r.d.opt.Timeout)
	defer cancel()
	err := p.client.Flush(within)
	acked, cause := s.result(len(records))
	err = errors.Join(cause, err)
	if err == nil {
		err = p.r.d.opt.Fault.Hit(PointAcked)
	}
	switch {
	case err == nil:
		p.ends = s.ends
		if err := p.r.advance(ctx, l.upto, p.ends); err != nil {
			return err
		}
		p.sent = l.upto
		return nil
	case acked > 0 && cause != nil:
		return errors.Join(err, p.r.advance(ctx, l.msgs[acked-1].Offset, s.ends))
	}
	return err
}

// records makes the records of a batch. What does not fit one goes as a part of itself.
func (p *pump) records(msgs []driver.Message) []kgo.Record {
	records := make([]kgo.Record, len(msgs))
	for i := range msgs {
		if was := p.r.d.record(&records[i], p.r.topic, &msgs[i], p.r.src.Name()); was > 0 {
			p.r.log.Warn("message is too large for a record, sent in part to become a dead letter", "message", msgs[i].ID, "bytes", was)
		}
	}
	return records
}

// sending collects the acknowledgements of a batch, which come in any order of partitions.
type sending struct {
	mu    sync.Mutex
	told  int
	first int // the first record that failed
	cause error
	ends  []int64
}

func (s *sending) done(i int, rec *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	if err == nil {
		s.ends[rec.Partition] = max(s.ends[rec.Partition], rec.Offset+1)
		return
	}
	if i < s.first {
		s.first, s.cause = i, err
	}
}

// result returns how many records from the first on are acknowledged, and why not all n are. While some are in flight it
// returns 0: what comes after one of them counts for nothing.
func (s *sending) result(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.told < n:
		return 0, errors.Join(errors.New("send to the topic: cut off"), s.cause)
	case s.cause != nil:
		return s.first, fmt.Errorf("send to the topic: %w", s.cause)
	}
	return n, nil
}
