package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"penstock/bus/driver"
)

// A commit that meets a rebalance is tried again: the partitions of the batch in flight are still this member's, under the
// group's next generation.
const (
	settleTries = 50
	settlePause = 100 * time.Millisecond
)

// Commit implements [driver.Reader].
func (r *reader) Commit(ctx context.Context) error {
	if r.closed {
		return ErrClosed
	}
	if len(r.batch) == 0 {
		return nil
	}
	err := r.commit(ctx)
	for try := 1; rebalancing(err) && try < settleTries; try++ {
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return ctx.Err()
		}
		err = r.commit(ctx)
	}
	switch {
	case err == nil:
		r.batch = nil
		return nil
	case shutOut(err) || rebalancing(err):
		r.lost, r.batch, r.rest = true, nil, nil
		return fmt.Errorf("%w: group %s on %s was silent for longer than its session (%w)", driver.ErrLeaseLost, r.group, r.topic, err)
	}
	return fmt.Errorf("commit offsets of group %s: %w", r.group, err)
}

func rebalancing(err error) bool {
	return errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration)
}

func shutOut(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.StaleMemberEpoch)
}

// commit writes the offsets behind the batch in flight, under this member's generation.
func (r *reader) commit(ctx context.Context) error {
	offsets := map[int32]kgo.EpochOffset{}
	for _, rec := range r.batch {
		offsets[rec.Partition] = kgo.EpochOffset{Epoch: rec.LeaderEpoch, Offset: rec.Offset + 1}
	}
	var failed error
	r.client.Load().CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{r.d.cluster.Name(r.topic): offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err != nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					failed = errors.Join(failed, kerr.ErrorForCode(p.ErrorCode))
				}
			}
		})
	return failed
}
