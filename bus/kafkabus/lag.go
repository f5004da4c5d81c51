package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Lag is how many messages of a partition a group has not committed.
type Lag struct {
	Group, Topic string
	Partition    int
	Messages     int64
	// Lost is how many messages the retention of the topic has taken away before the group had read them.
	Lost int64
}

// Backlog is how many numbers of an outbox the relay has not sent. A number need not carry a message.
type Backlog struct {
	Topic, Source string
	Numbers       uint64
}

// Lags returns the lag of every partition for every group that this process has readers of, for metrics.
func (d *Driver) Lags(ctx context.Context) ([]Lag, error) {
	d.mu.Lock()
	seen := map[[2]string]bool{}
	for r := range d.readers {
		seen[[2]string{r.group, r.topic}] = true
	}
	d.mu.Unlock()
	var all []Lag
	for k := range seen {
		lags, err := d.lags(ctx, k[0], k[1])
		if err != nil {
			return nil, err
		}
		all = append(all, lags...)
	}
	return all, nil
}

// Backlogs returns what the relays have before them, whoever has their leases.
func (d *Driver) Backlogs(ctx context.Context) ([]Backlog, error) {
	var all []Backlog
	for topic, sources := range d.topics {
		for _, s := range sources {
			n, err := d.backlog(ctx, topic, s)
			if err != nil {
				return nil, err
			}
			all = append(all, Backlog{Topic: topic, Source: s.Name(), Numbers: n})
		}
	}
	return all, nil
}

// Beyond implements [driver.Strayer] for the relay: by how much it stands behind the ends of the outboxes of the topic. It reads the
// position before the head.
func (r *reader) Beyond(ctx context.Context) (numbers int64, err error) {
	for _, s := range r.d.topics[r.topic] {
		if err := r.d.cursors.Enrol(ctx, RelayGroup, r.topic, []string{s.Name()}); err != nil {
			return 0, fmt.Errorf("enrol the relay: %w", err)
		}
		at, err := r.d.cursors.Position(ctx, RelayGroup, r.topic, s.Name())
		if err != nil {
			return 0, fmt.Errorf("position of the relay in %s: %w", s.Name(), err)
		}
		head, err := s.Head(ctx)
		if err != nil {
			return 0, fmt.Errorf("head of %s: %w", s.Name(), err)
		}
		numbers += int64(at - min(at, head))
	}
	return numbers, nil
}

// backlog reads the head before the position. The enrolment is for the time before the relay's own.
func (d *Driver) backlog(ctx context.Context, topic string, s Source) (uint64, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("head of %s: %w", s.Name(), err)
	}
	if err := d.cursors.Enrol(ctx, RelayGroup, topic, []string{s.Name()}); err != nil {
		return 0, fmt.Errorf("enrol the relay: %w", err)
	}
	at, err := d.cursors.Position(ctx, RelayGroup, topic, s.Name())
	if err != nil {
		return 0, fmt.Errorf("position of the relay in %s: %w", s.Name(), err)
	}
	return head - min(head, at), nil
}

// lags returns what a group has not committed, by partition.
func (d *Driver) lags(ctx context.Context, group, topic string) ([]Lag, error) {
	ends, err := d.ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	starts, err := d.offsets(ctx, topic, d.cluster.Admin().ListStartOffsets)
	if err != nil {
		return nil, err
	}
	committed, err := d.committed(ctx, group, topic)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	lags := make([]Lag, len(ends))
	for p := range lags {
		lags[p] = Lag{Group: group, Topic: topic, Partition: p, Messages: max(0, ends[p]-max(starts[p], committed[p]))}
		if committed[p] > 0 {
			lags[p].Lost = max(0, starts[p]-committed[p])
		}
	}
	return lags, nil
}

// ends returns the offset behind the last message of each partition.
func (d *Driver) ends(ctx context.Context, topic string) ([]int64, error) {
	return d.offsets(ctx, topic, d.cluster.Admin().ListEndOffsets)
}

func (d *Driver) offsets(ctx context.Context, topic string,
	list func(context.Context, ...string) (kadm.ListedOffsets, error)) ([]int64, error) {
	name := d.cluster.Name(topic)
	var all kadm.ListedOffsets
	err := patiently(ctx, func() (err error) {
		if all, err = list(ctx, name); err == nil {
			err = all.Error()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %w", name, err)
	}
	offsets := make([]int64, d.opt.Partitions)
	for p := range offsets {
		o, ok := all.Lookup(name, int32(p))
		if !ok {
			return nil, fmt.Errorf("offsets of topic %s: partition %d is missing", name, p)
		}
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// Questions that meet a cluster in motion (a leader or coordinator being chosen) are asked again.
const (
	askTries = 20
	askPause = 150 * time.Millisecond
)

func patiently(ctx context.Context, ask func() error) error {
	err := ask()
	for try := 1; try < askTries && inMotion(err); try++ {
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return ctx.Err()
		}
		err = ask()
	}
	return err
}

func inMotion(err error) bool {
	var k *kerr.Error
	return errors.As(err, &k) && k.Retriable
}
