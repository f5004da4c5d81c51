package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
)

// Bounds of what a reader fetches ahead.
const (
	fetchBytes     = 8 << 20
	partitionBytes = 1 << 20 // a larger message still comes, alone
)

// reader is one member of a group. Partitions change hands only inside a Poll that has nothing in flight:
//
//	Poll ──batch──► in flight ──Commit──► none in flight ──Poll──► (rebalance, then fetch)
//	                  │  ▲  │                   ▲
//	                  └Poll └─Commit refused────┘ the member begins anew
type reader struct {
	d            *Driver
	group, topic string
	log          *slog.Logger

	client atomic.Pointer[kgo.Client]
	batch  []*kgo.Record // in flight
	rest   []*kgo.Record // fetched with it, not yet handed out
	before int           // how many records the last fetch got
	lost   bool          // the broker has shut this member out
	closed bool
	ended  atomic.Bool // the driver was closed

	mu    sync.Mutex
	owned map[int32]bool
}

var _ driver.Reader = (*reader)(nil)

func newReader(d *Driver, group, topic string) *reader {
	return &reader{
		d: d, group: group, topic: topic, owned: map[int32]bool{}, log: d.opt.Logger.With("group", group, "topic", topic),
	}
}

// connect joins the group as a new member.
func (r *reader) connect() error {
	o := r.d.opt
	client, err := r.d.cluster.Client(
		kgo.ConsumerGroup(r.d.group(r.group, r.topic)), kgo.ConsumeTopics(r.d.cluster.Name(r.topic)),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(o.Session), kgo.HeartbeatInterval(o.Heartbeat), kgo.RebalanceTimeout(o.Rebalance),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(o.Idle),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { r.own(m, true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { r.own(m, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { r.own(m, false) }),
	)
	if err != nil {
		return fmt.Errorf("join group %s: %w", r.group, err)
	}
	r.client.Store(client)
	return nil
}

func (r *reader) own(partitions map[string][]int32, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range partitions {
		for _, p := range list {
			if mine {
				r.owned[p] = true
			} else {
				delete(r.owned, p)
			}
		}
	}
}

// Poll implements [driver.Reader].
func (r *reader) Poll(ctx context.Context, limit int) ([]driver.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.closed || r.ended.Load() {
		return nil, ErrClosed
	}
	if len(r.batch) == 0 {
		r.batch, r.rest = r.rest, nil
	}
	if len(r.batch) == 0 {
		if err := r.fetch(ctx, limit); err != nil {
			return nil, err
		}
	}
	if n := min(limit, len(r.batch)); n < len(r.batch) {
		r.rest = append(r.batch[n:len(r.batch):len(r.batch)], r.rest...)
		r.batch = r.batch[:n:n]
	}
	return r.messages(), nil
}

// fetch lets the group deal out partitions anew and waits for records.
func (r *reader) fetch(ctx context.Context, limit int) error {
	if r.lost {
		if err := r.rejoin(); err != nil {
			return err
		}
	}
	r.client.Load().AllowRebalance()
	err := r.take(ctx, r.d.opt.Idle, limit)
	if len(r.batch) == 0 && ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && r.before >= crowd {
		err = r.gather(ctx, limit)
	}
	r.before = len(r.batch)
	if len(r.batch) > 0 && err != nil {
		r.log.Warn("fetch failed in part", "error", err)
		return nil
	}
	return err
}

// crowd is how many messages in the batch before mean that more are on their way.
const crowd = 8

// gather adds to the batch what comes in the next moment. The client has fetched ahead only what the broker had when it was asked,
// often a few messages; a handler is given a batch that is worth its commits.
func (r *reader) gather(ctx context.Context, limit int) error {
	end := time.Now().Add(r.d.opt.Gather)
	for len(r.batch) > 0 && len(r.batch) < limit && ctx.Err() == nil {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		if err := r.take(ctx, left, limit-len(r.batch)); err != nil {
			return err
		}
	}
	return nil
}

// take adds up to limit records to the batch, for which it waits at most so long.
func (r *reader) take(ctx context.Context, within time.Duration, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	fetches := r.client.Load().PollRecords(ctx, limit)
	r.batch = append(r.batch, fetches.Records()...)
	var failed error
	fetches.EachError(func(_ string, p int32, err error) {
		switch {
		case errors.Is(err, kgo.ErrClientClosed):
			failed = ErrClosed
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		case inMotion(err): // the client goes on trying
			r.log.Info("cluster in motion", "error", err)
		default:
			failed = errors.Join(failed, fmt.Errorf("fetch partition %d: %w", p, err))
		}
	})
	return failed
}

func (r *reader) messages() []driver.Message {
	if len(r.batch) == 0 {
		return nil
	}
	msgs := make([]driver.Message, len(r.batch))
	place := func(user string) int { return r.d.Partition(r.topic, user) }
	for i, rec := range r.batch {
		msgs[i] = decode(r.topic, rec, place)
	}
	return msgs
}

// rejoin begins anew as another member, after the broker has shut the old one out.
func (r *reader) rejoin() error {
	r.client.Load().CloseAllowingRebalance()
	r.mu.Lock()
	clear(r.owned)
	r.mu.Unlock()
	if err := r.connect(); err != nil {
		return err
	}
	r.lost = false
	return nil
}

// Owns implements [driver.Reader]: it goes by the user, as parked messages may come from another engine.
func (r *reader) Owns(m driver.Message) bool {
	if r.lost || r.closed {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[int32(r.d.Partition(r.topic, m.User))]
}

// Lag implements [driver.Reader]: what the relay has not sent and what the group has not committed. Looking upstream first,
// a message that moves on meanwhile is counted twice rather than never.
func (r *reader) Lag(ctx context.Context) (int64, error) {
	var lag int64
	for _, s := range r.d.topics[r.topic] {
		n, err := r.d.backlog(ctx, r.topic, s)
		if err != nil {
			return 0, err
		}
		lag += int64(n)
	}
	lags, err := r.d.lags(ctx, r.group, r.topic)
	if err != nil {
		return 0, err
	}
	for _, l := range lags {
		lag += l.Messages
	}
	return lag, nil
}

// leaveWithin bounds the leaving of a group.
const leaveWithin = 5 * time.Second

// end makes the next Poll the last.
func (r *reader) end() { r.ended.Store(true) }

// Close leaves the group, so that others get its partitions at once. A group that could not be left in time is no error: others
// get them when the session ends.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.d.mu.Lock()
	delete(r.d.readers, r)
	r.d.mu.Unlock()
	r.batch, r.rest = nil, nil
	client := r.client.Load()
	client.AllowRebalance()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	err := client.LeaveGroupContext(ctx)
	client.CloseAllowingRebalance()
	switch {
	case err == nil || r.lost:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		r.log.Warn("the group was not left in time; its partitions are free when the session ends", "waited", leaveWithin)
		return nil
	}
	return fmt.Errorf("leave group %s: %w", r.group, err)
}
