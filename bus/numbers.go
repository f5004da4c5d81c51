package bus

import (
	"context"
	"fmt"

	"penstock/bus/driver"
)

// Counts is what a subscription has done since Start. A message counts as processed or dead when that is durable, and as
// parked each time it was set aside; each Retried is a further try of a parked message.
type Counts struct {
	Processed, Parked, Dead, Retried int64
}

// Numbers are the figures of one subscription. For one group, produced = processed + waiting + dead + lag once redeliveries
// are taken out.
type Numbers struct {
	Group, Topic string
	// Lag is what the group has not committed; it may count numbers that carry no message, but it is 0 only when none is left.
	Lag int64
	// Beyond is by how much the group stands behind the end of what it reads ([driver.Strayer]); other than 0 is a fault.
	Beyond int64
	// Waiting and Letters are the group's parked messages and its unsettled dead letters, over all its topics.
	Waiting, Letters int64
	// Since is what happened since Start.
	Since Counts
}

func (s *subscription) add(c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Processed += c.Processed
	s.count.Parked += c.Parked
	s.count.Dead += c.Dead
	s.count.Retried += c.Retried
}

// Numbers returns the figures of every subscription, in order of registration. It fails when one of them cannot be told, as
// before Start and while the engine is away.
func (b *Bus) Numbers(ctx context.Context) ([]Numbers, error) {
	b.mu.Lock()
	subs := b.subs
	b.mu.Unlock()
	all := make([]Numbers, 0, len(subs))
	for _, s := range subs {
		n, err := s.numbers(ctx)
		if err != nil {
			return nil, fmt.Errorf("numbers of %s on %s: %w", s.group, s.topic, err)
		}
		all = append(all, n)
	}
	return all, nil
}

// numbers reads the lag before the parked queue: a message is parked before it leaves the lag, so it is missed by neither.
func (s *subscription) numbers(ctx context.Context) (Numbers, error) {
	n := Numbers{Group: s.group, Topic: s.topic}
	reader := s.current()
	if reader == nil {
		return n, fmt.Errorf("not subscribed")
	}
	var err error
	if n.Lag, err = reader.Lag(ctx); err != nil {
		return n, err
	}
	if s, ok := reader.(driver.Strayer); ok {
		if n.Beyond, err = s.Beyond(ctx); err != nil {
			return n, err
		}
	}
	if n.Waiting, n.Letters, err = s.bus.store.Count(ctx, s.group); err != nil {
		return n, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.Since = s.count
	return n, nil
}

// InFlight returns what is not dealt with yet, by "bus.<group>.<topic>.lag" and "bus.<group>.parked"; all zero means drained. A
// group that stands behind the end of what it reads is there as "bus.<group>.<topic>.beyond".
// Dead letters are not in flight. A handler may feed another topic: a first look that finds nothing is followed by a second,
// so that what moved from one topic to another meanwhile is seen.
func (b *Bus) InFlight(ctx context.Context) (map[string]int64, error) {
	for second := false; ; second = true {
		all, err := b.Numbers(ctx)
		if err != nil {
			return nil, err
		}
		out, busy := map[string]int64{}, false
		for _, n := range all {
			out["bus."+n.Group+"."+n.Topic+".lag"] = n.Lag
			out["bus."+n.Group+".parked"] = n.Waiting
			if n.Beyond > 0 {
				out["bus."+n.Group+"."+n.Topic+".beyond"] = n.Beyond
			}
			busy = busy || n.Lag > 0 || n.Waiting > 0
		}
		if busy || second {
			return out, nil
		}
	}
}
